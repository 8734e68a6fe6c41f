"""Scores into log-probabilities: one scale, fitted to held-out predictions (Guo et al. 2017, arXiv 1706.04599, section 4.2)."""

from __future__ import annotations

import math

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

_RANGE = (0.1, 1000.0)
_STEPS = 16  # halve log(10^4) down to 1.4e-4


def fit_scale(scores: Float[Tensor, "samples classes"], labels: Int64[Tensor, " samples"]) -> float:
    """The factor in [0.1, 1000] that minimises the cross-entropy of the scaled scores: the inverse temperature.

    The cross-entropy is convex in the factor, so its slope has one root, which is bracketed by halving.
    """
    low, high = map(math.log, _RANGE)
    right = scores.gather(1, labels[:, None]).mean()
    for _ in range(_STEPS):
        middle = (low + high) / 2
        expected = ((scores * math.exp(middle)).softmax(dim=1) * scores).sum(dim=1).mean()
        low, high = (low, middle) if expected > right else (middle, high)
    return math.exp((low + high) / 2)


def cross_entropy(scores: Float[Tensor, "samples classes"], labels: Int64[Tensor, " samples"]) -> float:
    """Mean, in nats."""
    return float(F.cross_entropy(scores, labels))
