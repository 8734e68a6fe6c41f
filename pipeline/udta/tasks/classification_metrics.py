"""Figures of merit of a classifier, from log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

# What of these stands in tables of many runs.
COLUMNS = ("top1", "top5", "mean_per_class", "balanced_accuracy", "macro_f1", "top1_views", "ece", "n")
# As in the paper and in most since, so that figures compare; the error depends on their number.
ECE_BINS = 15
# Resamples of a bootstrap: the ends of an interval then vary by about 1 % of its width from seed to seed.
RESAMPLES = 10_000


def classification_metrics(
    log_probabilities: Float[np.ndarray, "samples views classes"], labels: Int[np.ndarray, " samples"], seed: int = 0
) -> dict[str, Any]:
    """All figures are fractions; every one but `top1_views*` is of view 0 alone.

    `mean_per_class` is the mean of the recalls of the classes that occur, and `balanced_accuracy` is what scikit-learn calls the
    same figure; `macro_f1` is the mean of the F1 of the classes that occur or are predicted. `top1_views` averages the
    log-probabilities over the cached views of a sample first, `ece` is the expected calibration error over 15 equal bins of
    confidence (Guo et al. 2017, arXiv 1706.04599, equation 3), `n` the number of samples. `*_low` and `*_high` are the ends of
    a 95 % bootstrap interval over images (`bootstrap_interval`).
    """
    first = log_probabilities[:, 0]
    # Stable: of classes with equal scores the first one is the answer, here as in `argmax` and in the table of predictions.
    order = np.argsort(-first, axis=1, kind="stable")
    correct = order[:, 0] == labels
    averaged = log_probabilities.mean(axis=1).argmax(axis=1) == labels
    recall, macro_f1 = _per_class(confusion_matrix(order[:, 0], labels, first.shape[1]))
    low, high = bootstrap_interval(correct, seed)
    low_views, high_views = bootstrap_interval(averaged, seed)
    return {
        "top1": float(correct.mean()),
        "top5": float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_per_class": recall,
        "balanced_accuracy": recall,
        "macro_f1": macro_f1,
        "top1_views": float(averaged.mean()),
        "n": len(labels),
        "ece": _calibration_error(np.exp(first.max(axis=1)), correct),
        "top1_low": low,
        "top1_high": high,
        "top1_views_low": low_views,
        "top1_views_high": high_views,
    }


def confusion_matrix(
    predicted: Int[np.ndarray, " samples"], labels: Int[np.ndarray, " samples"], n_classes: int
) -> Int[np.ndarray, "true predicted"]:
    """Counts: row = true class, column = predicted class."""
    # Each pair as one number, so that one pass counts all of them.
    counts = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def _per_class(counts: Int[np.ndarray, "true predicted"]) -> tuple[float, float]:
    """The mean recall of the classes that occur, and the mean F1 of those that occur or are predicted."""
    right, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    occurs, either = (
        true > 0,
        true + predicted > 0,
    )  # a recall over no image is no number, nor is the F1 of nothing at all
    f1 = 2 * right[either] / (true + predicted)[either]
    return float(np.mean(right[occurs] / true[occurs])), float(np.mean(f1))


def bootstrap_interval(
    values: Shaped[np.ndarray, " samples"], seed: int = 0, coverage: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval (Efron 1979) of the mean of values of which there are few different ones, such as 0 and 1.

    How often each of them is drawn when n samples are drawn with replacement is one draw from a multinomial distribution, so
    10,000 resamples cost 10,000 draws, whatever n is.
    """
    # 10,000 times n indices, the textbook's way, are 10 GB of draws for a test split of 128,000 images.
    levels, counts = np.unique(values, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=RESAMPLES)
    tail = 50 * (1 - coverage)
    low, high = np.percentile(draws @ levels.astype(float) / len(values), [tail, 100 - tail])
    return float(low), float(high)


def _calibration_error(confidence: Float[np.ndarray, " samples"], correct: np.ndarray) -> float:
    # A confidence of exactly 1 would be in a bin of its own.
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    # n_b |accuracy_b - confidence_b|: sums instead of means, so that an empty bin is 0 and not 0 / 0.
    gaps = [abs(confidence[bins == b].sum() - correct[bins == b].sum()) for b in range(ECE_BINS)]
    return float(sum(gaps) / len(correct))
