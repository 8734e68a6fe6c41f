"""Gaussian discriminant analysis: classes as Gaussians that share one covariance, a linear classifier in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from udta.adapters.base import Adapter, AdapterOptions, HeldOut, Recipe, Samples, average, channels
from udta.adapters.discriminant import GaussianPath
from udta.adapters.linear import zero_linear
from udta.adapters.regularisation import choose_alpha
from udta.adapters.samples import gather, standardisation


class GdaOptions(AdapterOptions):
    """Options of `gda`.

    `taps`: the averages of the `last` tap, or of `all` of them side by side.
    `alpha`: what is added to the variances of standardised features; None chooses what predicts left-out images with the least
    cross-entropy.
    """

    taps: Literal["last", "all"] = "all"
    alpha: float | None = Field(default=None, gt=0)


class Gda(Adapter):
    """`gda`: averages -> standardisation -> Gaussians with a mean for each class and one covariance for all.

    Source: Wang et al. 2024, "A Hard-to-Beat Baseline for Training-Free CLIP-Based Adaptation", arXiv 2402.04087, without the
    part that reads text. Regularisation and scale come from leaving out one image at a time.
    """

    name: ClassVar[str] = "gda"
    recipe: ClassVar[Recipe] = Recipe(epochs=1)  # no steps; one pass over the data is what its cost is counted by
    closed_form: ClassVar[bool] = True
    options_type: ClassVar[type[AdapterOptions]] = GdaOptions
    settings: GdaOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.classify = zero_linear(sum(channels(self.taps[tap]) for tap in self.taps_used), n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The deepest tap, or all."""
        return tuple(self.taps) if self.settings.taps == "all" else (list(self.taps)[-1],)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """From the averages; the standardisation is part of the weights."""
        logits: Tensor = self.classify(self._pool(features))
        return logits

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> HeldOut:
        """The weights; returns how well images are predicted by the fit to all others, with the alpha that does it best."""
        found = gather(samples, self._pool)
        # The Gram matrix squares the condition of the features, which float32 has no digits for.
        x, labels = found.features.double(), found.labels
        mean, scale = standardisation(x)
        path = GaussianPath((x - mean) / scale, labels, found.images, self.n_classes)
        # One more of each: a class that no image is of is improbable, not impossible.
        prior = (torch.bincount(labels, minlength=self.n_classes) + 1.0).log()
        chosen = choose_alpha(path, self.settings.alpha, labels, prior)
        weights, offsets = path.weights(chosen.alpha)
        weights = chosen.factor * weights / scale[:, None]
        self.classify.weight.copy_(weights.T)
        self.classify.bias.copy_(chosen.factor * offsets - mean @ weights + prior)
        return chosen.held_out

    def _pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        return torch.cat([average(features[tap]) for tap in self.taps_used], dim=1)
