"""How much a closed form regularises: what predicts the images best that a fit leaves out, scaled into log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta.adapters.base import HeldOut
from udta.tasks.calibration import cross_entropy, fit_scale

# The mean eigenvalue of standardised features is 1: from next to no shrinkage to almost nothing left.
ALPHAS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))


@runtime_checkable
class RegularisationPath(Protocol):
    """Fits for every regularisation, of which each can say what it would predict of images that it had not seen."""

    def left_out(self, alpha: float) -> Float[Tensor, "samples classes"]:
        """Scores of each sample by the fit to all images but its own."""
        ...


@dataclass(frozen=True, order=True)
class Choice:
    """An `alpha`, and the `factor` that makes its scores probabilities; of two the better one is the smaller.

    `loss` and `accuracy` are those of the images left out: mean cross-entropy in nats, and top-1.
    """

    loss: float
    alpha: float
    factor: float
    accuracy: float

    @property
    def held_out(self) -> HeldOut:
        """What `solve` returns."""
        return HeldOut(self.loss, self.accuracy)


def choose_alpha(
    path: RegularisationPath,
    asked: float | None,
    labels: Int64[Tensor, " samples"],
    prior: Float[Tensor, " classes"] | None = None,
) -> Choice:
    """The regularisation that predicts left-out images with the least cross-entropy, or the one that is asked for.

    Args:
        path: what is regularised.
        asked: the only alpha to look at, or None for each of `ALPHAS`.
        labels: of the samples of `path`.
        prior: logarithms of the classes' shares, of scores that know nothing of them.
    """
    return min(_left_out(path, alpha, labels, prior) for alpha in ([asked] if asked else ALPHAS))


def _left_out(
    path: RegularisationPath, alpha: float, labels: Int64[Tensor, " samples"], prior: Float[Tensor, " classes"] | None
) -> Choice:
    scores = path.left_out(alpha).float()
    factor = fit_scale(scores, labels, prior)
    log_p = factor * scores + (torch.zeros_like(scores[0]) if prior is None else prior)
    accuracy = float((log_p.argmax(dim=1) == labels).float().mean())
    return Choice(cross_entropy(log_p, labels), alpha, factor, accuracy)
