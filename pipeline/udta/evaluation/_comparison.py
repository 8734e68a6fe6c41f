"""Two runs on the same images: what one gets right and the other does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from udta.tasks.classification_metrics import bootstrap_interval


def paired_comparison(
    log_probabilities: Float[np.ndarray, "samples views classes"],
    labels: Int[np.ndarray, " samples"],
    others: Float[np.ndarray, "samples views2 classes2"],
    other_labels: Int[np.ndarray, " samples"],
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Top-1 of two runs on the same samples, by `single` (view 0) and `views` (log-probabilities averaged over the views).

    Each has `top1` of the other run, `difference` (this run less the other, a fraction) with its 95 % interval `low` to `high`
    by bootstrap over images, `only_this` and `only_other` (how many images one alone gets right), and `p` of McNemar's test.
    The two may order their classes differently, so each has its own labels.
    """
    single = log_probabilities[:, 0], others[:, 0]
    views = log_probabilities.mean(axis=1), others.mean(axis=1)
    return {
        name: _compare(this.argmax(axis=1) == labels, other.argmax(axis=1) == other_labels, seed)
        for name, (this, other) in (("single", single), ("views", views))
    }


def mcnemar(only_this: int, only_other: int) -> float:
    """Two-sided p of McNemar's exact test (McNemar 1947; exact as a sign test).

    Were both runs equally good, each image that exactly one of them gets right would be a fair coin. The images that both get
    right or both get wrong say nothing of which is better.
    """
    n, fewer = only_this + only_other, min(only_this, only_other)
    if n == 0:
        return 1.0  # nothing speaks for either; SciPy refuses a test of no throws
    try:
        # Here, not above: scipy.stats takes a second to import, which nobody waits for who compares nothing. It comes with
        # scikit-learn (the extra `sklearn`).
        from scipy.stats import binomtest  # type: ignore[import-untyped]
    except ImportError:
        return sign_test(fewer, n)
    return float(binomtest(fewer, n).pvalue)


def sign_test(fewer: int, n: int) -> float:
    """The same figure without SciPy: min(1, 2 P(X <= fewer)) with X ~ Binomial(n, 1/2), summed in integers."""
    term = total = 1
    for k in range(fewer):
        # C(n, k + 1) from C(n, k). The division leaves no rest, so that sums over thousands of images are exact, where floats
        # of 2**-n are 0 from n = 1075 on.
        term = term * (n - k) // (k + 1)
        total += term
    p: float = 2 * total / 2**n
    return min(1.0, p)


def _compare(this: Bool[np.ndarray, " samples"], other: Bool[np.ndarray, " samples"], seed: int) -> dict[str, Any]:
    # Of differences image by image: both runs saw the same ones, so what makes an image hard for both cancels out, and the
    # interval is much narrower than two intervals side by side suggest.
    difference = this.astype(int) - other.astype(int)
    low, high = bootstrap_interval(difference, seed)
    only_this, only_other = int((difference > 0).sum()), int((difference < 0).sum())
    return {
        "top1": float(other.mean()),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "only_this": only_this,
        "only_other": only_other,
        "p": mcnemar(only_this, only_other),
    }
