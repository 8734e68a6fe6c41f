"""Labels that are there or not: scores into log-odds, and from which log-odds on a label is said to be there."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_RANGE = (0.1, 1000.0)  # of the factor, as in calibration.py
_STEPS = 16
# Newton's on two numbers a label converge in 5 to 8 steps; each is shortened where it would go far.
_NEWTON_STEPS = 25
_LONGEST = 4.0
# Of standardised scores: a label whose left-out scores are worse than chance keeps its order, and says next to nothing.
_LEAST = 1e-3


def probabilities_of(log_odds: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """What log-odds say; none overflows."""
    found: np.ndarray = np.exp(-np.logaddexp(0, -log_odds))
    return found


def fit_logistic(
    scores: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]
) -> tuple[Float[Tensor, " outputs"], Float[Tensor, " outputs"]]:
    """For each label the factor and the offset that make scores log-odds (Platt 1999, "Probabilistic Outputs for Support Vector
    Machines", section 2.2, with his targets, which are not quite 0 and 1).
    """
    x, y = scores.double(), _softened(labels.double())
    mean, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)
    x = (x - mean) / spread
    factor, offset = torch.zeros_like(mean), torch.logit(y.mean(dim=0))
    for _ in range(_NEWTON_STEPS):
        p = (factor * x + offset).sigmoid()
        weight = p * (1 - p)
        # The Hessian of two numbers a label, [[a, b], [b, c]], and its inverse by hand. Its ridge is below what counts.
        a, b, c = (
            (weight * each).mean(dim=0) + 1e-9 * ridge for each, ridge in ((x * x, 1), (x, 0), (x.new_ones(()), 1))
        )
        g, h = ((p - y) * x).mean(dim=0), (p - y).mean(dim=0)
        determinant = a * c - b * b
        step_factor, step_offset = (c * g - b * h) / determinant, (a * h - b * g) / determinant
        shorter = (_LONGEST / torch.maximum(step_factor.abs(), step_offset.abs()).clamp_min(_LONGEST)).clamp_max(1)
        factor, offset = factor - shorter * step_factor, offset - shorter * step_offset
    # Where the best factor would turn the order round: how often the label is there is all that is known.
    offset = torch.where(factor < _LEAST, torch.logit(y.mean(dim=0)), offset)
    factor = factor.clamp_min(_LEAST) / spread
    return factor.float(), (offset - factor * mean).float()


def fit_binary_temperature(logits: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]) -> float:
    """The temperature in [0.001, 10] that minimises the binary cross-entropy of `logits / temperature` over all labels."""
    if not logits.abs().max() > 0:
        return 1.0  # an adapter as it begins
    targets = _softened(labels)
    low, high = map(math.log, _RANGE)
    # Convex in the factor, so its slope has one root, which is bracketed by halving.
    wanted = (logits * targets).mean()
    for _ in range(_STEPS):
        middle = (low + high) / 2
        expected = ((logits * math.exp(middle)).sigmoid() * logits).mean()
        low, high = (low, middle) if expected > wanted else (middle, high)
    return 1 / math.exp((low + high) / 2)


def best_thresholds(
    logits: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]
) -> Float[Tensor, " outputs"]:
    """For each label the logit above which calling it there gives the largest F1: half way between two samples.

    Of equals the one that calls fewest; 0 for a label that no sample has.
    """
    ordered, order = logits.sort(dim=0, descending=True)
    there = labels.gather(0, order)
    called = torch.arange(1, len(logits) + 1, device=logits.device)[:, None]
    f1 = 2 * there.cumsum(dim=0) / (called + there.sum(dim=0))
    # No threshold lies between samples of equal logits.
    below = torch.cat([ordered[1:], ordered[-1:] - 1])
    f1 = f1.masked_fill(ordered == below, -1)
    best = f1.argmax(dim=0, keepdim=True)
    halfway = (ordered.gather(0, best) + below.gather(0, best))[0] / 2
    return torch.where(there.sum(dim=0) > 0, halfway, 0.0)


def _softened(labels: Float[Tensor, "samples outputs"]) -> Float[Tensor, "samples outputs"]:
    """What one more sample of each kind would make of 1 and 0: the best fit to a few that are all right would be certainty."""
    n_there = labels.sum(dim=0)
    n_not = len(labels) - n_there
    return torch.where(labels > 0.5, (n_there + 1) / (n_there + 2), 1 / (n_not + 2))
