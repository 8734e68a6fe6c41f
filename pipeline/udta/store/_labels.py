"""What the labels of rows are, by task, and whether a row has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # 0.1 s of the help of a verb that names engines
    from jaxtyping import Bool, Shaped

MULTICLASS = "multiclass"


def is_known(labels: Shaped[np.ndarray, "rows ..."], task: str) -> Bool[np.ndarray, " rows"]:
    """Which rows have a label: of `multiclass` those that are not -1, of other tasks those without a NaN."""
    known: np.ndarray = labels >= 0 if task == MULTICLASS else ~np.isnan(labels).any(axis=1)
    return known
