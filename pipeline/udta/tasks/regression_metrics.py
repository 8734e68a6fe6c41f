"""Figures of merit of numbers, in their units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

_FIGURES = ("mae", "r2", "spearman")


def regression_metrics(
    values: Float[np.ndarray, "samples views targets"],
    labels: Float[np.ndarray, "samples targets"],
    names: Sequence[str],
) -> dict[str, Any]:
    """Means over targets, of view 0; those that end in `_views` are of values averaged over the views of a sample.

    `mae` is the mean absolute error in the units of the labels, `r2` the share of the variance that is explained (1 at best, 0
    for who says the mean, less for worse), `spearman` the correlation of ranks. `n` is the number of samples; `by_target` has
    the three figures for each name, of view 0.
    """
    single, views = (_by_target(said.astype(np.float64), labels) for said in (values[:, 0], values.mean(axis=1)))
    return {
        **{name: float(single[name].mean()) for name in _FIGURES},
        **{f"{name}_views": float(views[name].mean()) for name in _FIGURES},
        "n": len(labels),
        "by_target": {
            name: {figure: float(single[figure][at]) for figure in _FIGURES} for at, name in enumerate(names)
        },
    }


def _by_target(
    said: Float[np.ndarray, "samples targets"], labels: Float[np.ndarray, "samples targets"]
) -> dict[str, Float[np.ndarray, " targets"]]:
    truth = labels.astype(np.float64)  # sums of squares of large numbers have no digits left in float32
    residual, around = ((said - truth) ** 2).sum(axis=0), ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    # Of a target that is the same everywhere there is no variance to explain: 1 for who says it, 0 for others, as scikit-learn.
    r2 = np.where(around > 0, 1 - residual / np.where(around > 0, around, 1), (residual == 0).astype(float))
    columns = zip(said.T, truth.T, strict=True)
    return {
        "mae": np.abs(said - truth).mean(axis=0),
        "r2": r2,
        "spearman": np.array([spearman(one, other) for one, other in columns]),
    }


def spearman(one: Float[np.ndarray, " samples"], other: Float[np.ndarray, " samples"]) -> float:
    """Pearson's correlation of ranks, of which equals have the mean; 0 where all of one side are equal."""
    a, b = (rank - rank.mean() for rank in (_ranks(one), _ranks(other)))
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _ranks(values: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks
