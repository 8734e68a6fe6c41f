"""Scores into log-probabilities: one scale, fitted to held-out predictions (Guo et al. 2017, arXiv 1706.04599, section 4.2)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

_RANGE = (0.1, 1000.0)
_STEPS = 16  # halve log(10^4) down to 1.4e-4


def fit_scale(
    scores: Float[Tensor, "samples classes"],
    labels: Int64[Tensor, " samples"],
    prior: Float[Tensor, " classes"] | None = None,
) -> float:
    """The factor in [0.1, 1000] that minimises the cross-entropy of the scaled scores: the inverse temperature.

    `prior`, where there is one, is added to them afterwards: what is known before looking does not scale.
    """
    offset = scores.new_zeros(scores.shape[1]) if prior is None else prior
    return _fit(scores, F.one_hot(labels, scores.shape[1]).to(scores.dtype), offset, scores.new_ones(len(scores)))


def fit_temperature(
    logits: Float[Tensor, "samples classes"],
    labels: Int64[Tensor, " samples"],
    importance: Float[Tensor, " classes"] | None = None,
) -> float:
    """The temperature that minimises the cross-entropy of `logits / temperature`, in [0.001, 10].

    Where samples of a class count as its `importance` says, it is that of a set in which classes are as frequent as these make
    them.

    The targets are not quite one and zero but what one more image of each kind, right and wrong, would make of them (Platt
    1999, "Probabilistic Outputs for Support Vector Machines", section 2.2): where a few images are all right, the best fit to
    them would be certainty.
    """
    n_samples, n_classes = logits.shape
    if not logits.std() > 0:
        return 1.0  # an adapter as it begins, or a single number
    weights = logits.new_ones(n_samples) if importance is None else importance.to(logits)[labels]
    # Of how many images the figures are (Kish): where a few carry all the weight there are but few.
    effective = float(weights.sum().square() / weights.square().sum())
    right = (effective + 1) / (effective + 2)
    targets = torch.full_like(logits, (1 - right) / (n_classes - 1)).scatter_(1, labels[:, None], right)
    return 1 / _fit(logits, targets, logits.new_zeros(n_classes), weights / weights.mean())


def cross_entropy(scores: Float[Tensor, "samples classes"], labels: Int64[Tensor, " samples"]) -> float:
    """Mean, in nats."""
    return float(F.cross_entropy(scores, labels))


def _fit(
    scores: Float[Tensor, "samples classes"],
    targets: Float[Tensor, "samples classes"],
    offset: Float[Tensor, " classes"],
    weights: Float[Tensor, " samples"],
) -> float:
    """The cross-entropy is convex in the factor, so its slope has one root, which is bracketed by halving."""
    low, high = map(math.log, _RANGE)
    wanted = ((scores * targets).sum(dim=1) * weights).mean()
    for _ in range(_STEPS):
        middle = (low + high) / 2
        expected = (((scores * math.exp(middle) + offset).softmax(dim=1) * scores).sum(dim=1) * weights).mean()
        low, high = (low, middle) if expected > wanted else (middle, high)
    return math.exp((low + high) / 2)
