"""Figures of merit of a classifier, from log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

ECE_BINS = 15


def classification_metrics(
    log_probabilities: Float[np.ndarray, "samples views classes"], labels: Int[np.ndarray, " samples"]
) -> dict[str, Any]:
    """All figures are fractions; every one but `top1_views` is of view 0 alone.

    `mean_per_class` is the mean of the recalls of the classes that occur, `top1_views` averages the log-probabilities over
    the cached views of a sample first, `ece` is the expected calibration error over 15 equal bins of confidence
    (Guo et al. 2017, arXiv 1706.04599, equation 3), `n` the number of samples.
    """
    first = log_probabilities[:, 0]
    order = np.argsort(-first, axis=1, kind="stable")
    correct = order[:, 0] == labels
    averaged = log_probabilities.mean(axis=1).argmax(axis=1) == labels
    return {
        "top1": float(correct.mean()),
        "top5": float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_per_class": float(np.mean([correct[labels == label].mean() for label in np.unique(labels)])),
        "top1_views": float(averaged.mean()),
        "n": len(labels),
        "ece": _calibration_error(np.exp(first.max(axis=1)), correct),
    }


def _calibration_error(confidence: Float[np.ndarray, " samples"], correct: np.ndarray) -> float:
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - correct[bins == b].sum()) for b in range(ECE_BINS)]
    return float(sum(gaps) / len(correct))
