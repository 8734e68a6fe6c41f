"""An open store once more, with other labels, splits or taps over the same features; nothing on the disk changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from udta.store._labels import MULTICLASS
from udta.store._reader import Store

if TYPE_CHECKING:  # as in `_labels`
    from jaxtyping import Shaped


def twin(store: Store) -> Store:
    """The same open store as another object, whose splits and taps may be set; labels are `relabelled`'s."""
    copy = Store.__new__(Store)  # not by `copy.copy`, which goes by `__reduce__` and opens it again
    copy.__dict__.update(store.__dict__)
    return copy


def relabelled(
    store: Store,
    labels: Shaped[np.ndarray, "rows ..."],
    classes: Sequence[str],
    task: str = MULTICLASS,
    source: Mapping[str, Any] | None = None,
) -> Store:
    """A twin for another task over the same images.

    Args:
        store: whose features, rows and splits it has.
        labels: of `multiclass` the class index of every row, -1 where unknown; else float [rows, classes], NaN where unknown.
        classes: names of the classes, labels or targets.
        task: what the labels are for.
        source: where they came from, as JSON.

    Raises:
        ValueError: they are not of this many rows or classes.
    """
    shape = (len(store),) if task == MULTICLASS else (len(store), len(classes))
    if labels.shape != shape:
        raise ValueError(f"labels of {task} are of shape {list(shape)}, not {list(labels.shape)}")
    copy = twin(store)
    copy.labels = labels.astype(np.int64 if task == MULTICLASS else np.float32, copy=False)
    copy.classes, copy.task, copy.label_source = tuple(classes), task, dict(source or {})
    return copy
