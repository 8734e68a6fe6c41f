"""What each labelled image is, said by a fit to all others: `gda` on averages of all taps, leaving out one image at a time.

Gaussians of one covariance, because their leave-one-out predictions are exact and cost one fit (`adapters/discriminant.py`), and
because they found more of the labels that were changed on purpose than least squares did (docs/inspection.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta.adapters.discriminant import GaussianPath
from udta.adapters.regularisation import choose_alpha
from udta.inspection._axes import principal
from udta.tasks import find_task

# Recall of changed labels is the same with 128, 512 and all numbers; 100,000 images take 0.4 GB in float64.
_AXES = 512


@dataclass(frozen=True)
class HeldOutAnswers:
    """Log-probabilities of classes for rows of a store, which have `labels`; `source` says whose they are."""

    rows: Int64[np.ndarray, " rows"]
    labels: Int64[np.ndarray, " rows"]
    log_probabilities: Float[np.ndarray, "rows classes"]
    source: str

    @property
    def of_label(self) -> Float[np.ndarray, " rows"]:
        """Log-probability of the class that each image is labelled with."""
        found: np.ndarray = self.log_probabilities[np.arange(len(self.rows)), self.labels]
        return found

    @property
    def predicted(self) -> Int64[np.ndarray, " rows"]:
        """The most probable class."""
        best: np.ndarray = self.log_probabilities.argmax(axis=1)
        return best


def left_out(
    rows: Int64[np.ndarray, " rows"],
    labels: Int64[np.ndarray, " rows"],
    averages: Float[Tensor, "rows numbers"],
    n_classes: int,
) -> HeldOutAnswers:
    """Answers of the fit to all other images; changes `averages`.

    Args:
        rows: of the store.
        labels: their classes, at least two different ones.
        averages: of them.
        n_classes: how many classes there are, with or without images.
    """
    task, own = find_task("multiclass"), torch.from_numpy(labels)
    x = principal(averages, _AXES).double()
    path = GaussianPath(x, own, torch.arange(len(rows)), n_classes)
    prior = (torch.bincount(own, minlength=n_classes) + 1.0).log()
    chosen = choose_alpha(path, None, task, own, prior)
    answers = task.answers(chosen.rescaling(path.left_out(chosen.alpha).float()))
    return HeldOutAnswers(rows, labels, answers.numpy(), "a fit to all other images")
