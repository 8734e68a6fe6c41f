"""Classes of which there is too little to learn or to measure."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from udta.inspection._findings import Table
from udta.store import MULTICLASS, Store

# In a split. Of fewer to learn from, each more still gains points (docs/evaluation.md, few-shot curves); of fewer to measure
# with, the 95 % interval of a class's accuracy is wider than 50 points (Wilson, 5 of 9 right: 27 to 81 %).
FEW = 10


def class_sizes(store: Store, rows: Int64[np.ndarray, " rows"], wrong: Bool[np.ndarray, " rows"] | None) -> Table:
    """A line for each class, the smallest first: images in all and by split, and whether a split has fewer than ten.

    Args:
        store: with classes or several labels.
        rows: labelled ones.
        wrong: which of them were not told right when they were left out, where that is known; then `held_out_accuracy` is there.
    """
    member = _member(store, rows)
    splits = list(dict.fromkeys(store.splits[rows].tolist()))
    by_split = np.stack([member[store.splits[rows] == split].sum(axis=0) for split in splits], axis=1)
    order = np.argsort(by_split.sum(axis=1), kind="stable")
    table: Table = {
        "class": [store.classes[index] for index in order],
        "images": by_split.sum(axis=1)[order].tolist(),
        **{f"images_{split}": by_split[order, at].tolist() for at, split in enumerate(splits)},
        "too_small": (by_split.min(axis=1) < FEW)[order].tolist(),
    }
    if wrong is not None:
        right = member[~wrong].sum(axis=0) / np.maximum(member.sum(axis=0), 1)
        table["held_out_accuracy"] = [float(right[i]) if member[:, i].any() else None for i in order]
    return table


def _member(store: Store, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, "rows classes"]:
    labels = store.labels[rows]
    if store.task == MULTICLASS:
        found: np.ndarray = labels[:, None] == np.arange(len(store.classes))
        return found
    several: np.ndarray = labels > 0
    return several
