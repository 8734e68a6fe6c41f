"""Figures of merit of several labels an image, from log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float


def multilabel_metrics(
    log_odds: Float[np.ndarray, "samples views labels"],
    labels: Float[np.ndarray, "samples labels"],
    names: Sequence[str],
    thresholds: Float[np.ndarray, " labels"],
) -> dict[str, Any]:
    """Fractions, of view 0; those that end in `_views` are of log-odds averaged over the views of a sample.

    `map` is the mean over labels of the average precision; `micro_f1` counts decisions of all labels together, `macro_f1` is the
    mean over labels; a label is said to be there where its log-odds are above its threshold. Means are of labels that an image
    has: a precision without any is no number. `n` is the number of samples. `by_label` has for each name `ap` and `f1` (None
    where no image has it), the `threshold` as a probability, and `n`, how many images have it.
    """
    there = np.asarray(labels > 0)
    averaged = log_odds.mean(axis=1)
    single, views = (_figures(scores, there, thresholds) for scores in (log_odds[:, 0], averaged))
    occurs = np.asarray(there.any(axis=0))
    by_label = {
        name: {
            "ap": float(single["ap"][index]) if occurs[index] else None,
            "f1": float(single["f1"][index]) if occurs[index] else None,
            "threshold": float(1 / (1 + np.exp(-thresholds[index]))),
            "n": int(there[:, index].sum()),
        }
        for index, name in enumerate(names)
    }
    return {
        **_means(single, occurs),
        **{f"{name}_views": value for name, value in _means(views, occurs).items()},
        "n": len(labels),
        "by_label": by_label,
    }


def average_precision(scores: Float[np.ndarray, " samples"], there: Bool[np.ndarray, " samples"]) -> float:
    """The sum over the thresholds of (recall - recall before) x precision, without interpolation; samples of one score together.

    As scikit-learn has it (Manning et al. 2008, "Introduction to Information Retrieval", section 8.4).
    """
    order = np.argsort(-scores, kind="stable")
    found, ordered = np.cumsum(there[order]), scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # of the samples with the same score
    found, called = found[last], np.flatnonzero(last) + 1
    return float((np.diff(found, prepend=0) * found / called).sum() / found[-1])


def _figures(
    scores: Float[np.ndarray, "samples labels"],
    there: Bool[np.ndarray, "samples labels"],
    thresholds: Float[np.ndarray, " labels"],
) -> dict[str, np.ndarray]:
    """By label; `right`, `called` and `there` are counts."""
    called = scores > thresholds
    counts = {"right": (called & there).sum(axis=0), "called": called.sum(axis=0), "there": there.sum(axis=0)}
    columns = zip(scores.T, there.T, strict=True)
    ap = np.array([average_precision(column, those) if those.any() else np.nan for column, those in columns])
    return {**counts, "ap": ap, "f1": _f1(**counts)}


def _f1(right: Any, called: Any, there: Any) -> Any:
    return 2 * right / np.maximum(called + there, 1)


def _means(figures: dict[str, np.ndarray], occurs: Bool[np.ndarray, " labels"]) -> dict[str, float]:
    if not occurs.any():  # no image has any label: nothing could be found
        return {"map": 0.0, "micro_f1": 0.0, "macro_f1": 0.0}
    return {
        "map": float(figures["ap"][occurs].mean()),
        "micro_f1": float(_f1(*(figures[name].sum() for name in ("right", "called", "there")))),
        "macro_f1": float(figures["f1"][occurs].mean()),
    }
