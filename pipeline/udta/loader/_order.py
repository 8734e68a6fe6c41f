"""The order of an epoch: which rows in which views, and which of them are in memory together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True)
class Epoch:
    """`rows[i]` in `views[i]` is sample i of the epoch; `windows` are the positions where one window ends and the next begins."""

    rows: Int64[np.ndarray, " samples"]
    views: Int64[np.ndarray, "samples views"]
    windows: tuple[int, ...]

    def pairs(self, part: slice) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
        """Rows and views of a part of the samples, one view after another of each."""
        return np.repeat(self.rows[part], self.views.shape[1]), self.views[part].reshape(-1)


def balanced_rows(
    rows: Int64[np.ndarray, " samples"], labels: Int64[np.ndarray, " samples"], rng: np.random.Generator
) -> Int64[np.ndarray, " samples"]:
    """As many rows as are given, in ascending order, of each class as many as of another; `labels` are those of the rows.

    Of a class with more rows than its share some are drawn, of one with fewer each comes as often as another, or once more.
    """
    order = rng.permutation(len(rows))
    order = order[np.argsort(labels[order], kind="stable")]  # one class after the other, at random within
    sizes = np.unique(labels, return_counts=True)[1]
    starts, turns = sizes.cumsum() - sizes, np.arange(len(rows))
    # Dealt to the classes in turn; which of them come first, and so may have one more, is drawn too.
    classes = rng.permutation(len(sizes))[turns % max(len(sizes), 1)]
    return np.sort(rows[order[starts[classes] + turns // max(len(sizes), 1) % sizes[classes]]])


def order_rows(
    rows: Int64[np.ndarray, " samples"], *, block_rows: int, window_rows: int | None, rng: np.random.Generator | None
) -> tuple[Int64[np.ndarray, " samples"], tuple[int, ...]]:
    """The order of an epoch and its windows.

    Args:
        rows: the rows to deliver.
        block_rows: rows of a block of the store.
        window_rows: how many rows are in memory at a time; None when all of them may be.
        rng: of the shuffle; None keeps the order.

    Returns:
        Without windows an exact permutation. With windows the blocks are shuffled, cut into windows, and every window's rows are
        shuffled exactly: a row can meet the rows of the blocks that share its window, others in every epoch.
    """
    if window_rows is None:
        return (rows if rng is None else rng.permutation(rows)), (0, len(rows))
    # By rows, so that every window has the same size whatever the blocks hold of this split.
    bounds = (*range(0, len(rows), max(window_rows, 1)), len(rows))
    if rng is None:
        return rows, bounds
    # Blocks in a random order first, then their rows: a window is few blocks, which are read in one go each.
    blocks = rows // block_rows
    rank = rng.permutation(int(blocks.max()) + 1 if len(rows) else 0)
    # Stable, so that rows of a block stay ascending and the order is the same with every version of NumPy's sort.
    by_block = rows[np.argsort(rank[blocks], kind="stable")]
    parts = [rng.permutation(by_block[start:stop]) for start, stop in pairwise(bounds)]
    return np.concatenate(parts) if parts else by_block, bounds
