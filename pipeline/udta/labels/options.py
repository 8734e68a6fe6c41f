"""The one list of what a file of labels is told, for the command line, `params.yaml`, sweeps and the Python calls."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from udta._files.validation import Options, one_of


def _tasks() -> Iterable[str]:
    # Only for who asks: it imports NumPy.
    from udta.labels._cells import CELLS

    return CELLS


class LabelOptions(Options):
    """Other labels than a store's own, and what they are for."""

    labels: Path | None = Field(
        None,
        title="FILE",
        description="CSV, Parquet or JSON lines: column path or id, and labels; else the store's own.",
    )
    column: str | None = Field(
        default=None,
        title="NAME",
        description="Which column of it, or several as a,b,c; by default see docs/labels.md.",
    )
    task: Annotated[str, one_of(_tasks)] = Field(default="multiclass", description="What the labels are for.")
    separator: str | None = Field(
        default=None, title="TEXT", description="Of multilabel: what stands between the labels of a cell; ; by default."
    )
