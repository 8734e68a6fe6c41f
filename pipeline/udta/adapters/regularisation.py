"""How much a closed form regularises: what predicts the images best that a fit leaves out, scaled into logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Num
from torch import Tensor

from udta.adapters.base import HeldOut
from udta.tasks import Rescaling, Task

# The mean eigenvalue of standardised features is 1: from next to no shrinkage to almost nothing left.
ALPHAS = tuple(10 ** (exponent / 2) for exponent in range(-8, 5))


@runtime_checkable
class RegularisationPath(Protocol):
    """Fits for every regularisation, of which each can say what it would predict of images that it had not seen."""

    def linear(self, alpha: float) -> tuple[Float[Tensor, "features classes"], Float[Tensor, " classes"]]:
        """What features are multiplied with, and what is added."""
        ...

    def left_out(self, alpha: float) -> Float[Tensor, "samples classes"]:
        """Scores of each sample by the fit to all images but its own."""
        ...


@dataclass(frozen=True)
class Regularisation:
    """An `alpha`, and the `rescaling` that makes its scores logits; `loss` and `accuracy` are the task's, of images left out."""

    loss: float
    alpha: float
    rescaling: Rescaling
    accuracy: float

    @property
    def held_out(self) -> HeldOut:
        """What `solve` returns."""
        return HeldOut(self.loss, self.accuracy)


def choose_alpha(
    path: RegularisationPath,
    asked: float | None,
    task: Task,
    labels: Num[Tensor, "samples ..."],
    prior: Float[Tensor, " classes"] | None = None,
) -> Regularisation:
    """The regularisation that predicts left-out images with the least loss, or the one that is asked for.

    Args:
        path: what is regularised.
        asked: the only alpha to look at, or None for each of `ALPHAS`.
        task: says what the loss is, and how scores become logits.
        labels: of the samples of `path`, as training sees them.
        prior: logarithms of the classes' shares, of scores that know nothing of them.
    """
    found = [_left_out(path, alpha, task, labels, prior) for alpha in ([asked] if asked else ALPHAS)]
    return min(found, key=lambda each: (each.loss, each.alpha))


def _left_out(
    path: RegularisationPath,
    alpha: float,
    task: Task,
    labels: Num[Tensor, "samples ..."],
    prior: Float[Tensor, " classes"] | None,
) -> Regularisation:
    scores = path.left_out(alpha).float()
    rescaling = task.rescaling(scores, labels, prior)
    logits = rescaling(scores)
    return Regularisation(task.loss(logits, labels), alpha, rescaling, task.accuracy(logits, labels))
