"""Gaussian discriminant analysis: classes as Gaussians that share one covariance, a linear classifier in closed form."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Num
from torch import Tensor

from udta.adapters.closed_form import AverageClosedForm
from udta.adapters.discriminant import GaussianPath
from udta.adapters.least_squares import RidgePath
from udta.adapters.samples import Gathered


class Gda(AverageClosedForm):
    """`gda`: averages -> standardisation -> Gaussians with a mean for each class and one covariance for all.

    Source: Wang et al. 2024, "A Hard-to-Beat Baseline for Training-Free CLIP-Based Adaptation", arXiv 2402.04087, without the
    part that reads text. Regularisation and scale come from leaving out one image at a time; `alpha` is what is added to the
    variances of standardised features.

    Of several labels each is two Gaussians of one covariance, with it and without. Their discriminant has the direction of least
    squares onto 0 and 1, whatever is added to the variances (Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical
    Learning", exercise 4.2), and scale and offset are fitted afterwards anyway. Of numbers it is what a Gaussian of features and
    targets together expects of the latter, which is least squares too.
    """

    name: ClassVar[str] = "gda"

    def path(
        self, x: Float[Tensor, "samples inputs"], labels: Num[Tensor, "samples ..."], found: Gathered
    ) -> GaussianPath | RidgePath:
        """Gaussians of classes, or what is the same for other tasks."""
        if self.task.exclusive:
            return GaussianPath(x, labels, found.images, self.n_classes)
        return RidgePath(x, self.task.targets(labels, self.n_classes).double(), found.images)

    def prior(self, labels: Num[Tensor, "samples ..."]) -> Float[Tensor, " classes"] | None:
        """One more of each: a class that no image is of is improbable, not impossible."""
        return (torch.bincount(labels, minlength=self.n_classes) + 1.0).log() if self.task.exclusive else None
