"""RanPAC: random features of the averages, and least squares on them, which sees how features go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta._machine.portable_random import random_signs
from udta.adapters.base import Adapter, AdapterOptions, HeldOut, Recipe, Samples, average, channels
from udta.adapters.least_squares import RidgePath
from udta.adapters.linear import zero_linear
from udta.adapters.regularisation import choose_alpha
from udta.adapters.samples import gather, standardisation


class RanpacOptions(AdapterOptions):
    """Options of `ranpac`.

    `taps`: the averages of the `last` tap, or of `all` of them side by side.
    `width`: how many random features there are; time grows with its cube.
    `alpha`: penalty beside the mean squared error; None chooses the one whose predictions of left-out images have the least
    cross-entropy.
    `seed`: of the random projection.
    """

    taps: Literal["last", "all"] = "all"
    width: int = Field(default=1000, ge=2, le=20_000)
    alpha: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=1 << 24)


class Ranpac(Adapter):
    """`ranpac`: averages -> standardisation -> random projection -> ReLU -> least squares onto one-hot targets.

    Source: McDonnell et al. 2023, "RanPAC: Random Projections and Pre-trained Models for Continual Learning", arXiv 2307.02251,
    for one task. The projection is of signs, which need no file: they are drawn again from the seed, the same on every machine.
    """

    name: ClassVar[str] = "ranpac"
    recipe: ClassVar[Recipe] = Recipe(epochs=1)  # no steps; one pass over the data is what its cost is counted by
    closed_form: ClassVar[bool] = True
    options_type: ClassVar[type[AdapterOptions]] = RanpacOptions
    settings: RanpacOptions

    mean: Tensor
    scale: Tensor
    projection: Tensor

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        n_features = sum(channels(self.taps[tap]) for tap in self.taps_used)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        signs = random_signs(n_features, self.settings.width, self.settings.seed)
        # Sums of so many signs by features of size 1 are of size 1.
        projection = torch.from_numpy(signs).float() / n_features**0.5
        self.register_buffer("projection", projection, persistent=False)
        self.classify = zero_linear(self.settings.width, n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The deepest tap, or all."""
        return tuple(self.taps) if self.settings.taps == "all" else (list(self.taps)[-1],)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """From the random features of the averages."""
        logits: Tensor = self.classify(self._random_features(self._pool(features)))
        return logits

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> HeldOut:
        """The weights; returns how well images are predicted by the fit to all others, with the alpha that does it best."""
        found = gather(samples, self._pool)
        mean, scale = standardisation(found.features.double())
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        # The Gram matrix squares the condition of the features, which float32 has no digits for.
        x = self._random_features(found.features).double()
        centre, spread = x.mean(dim=0), x.std(dim=0, correction=0).mean().clamp_min(1e-6)
        targets = F.one_hot(found.labels, self.n_classes).double()
        path = RidgePath(x.sub_(centre).div_(spread), targets, found.images)
        chosen = choose_alpha(path, self.settings.alpha, found.labels)
        weights = chosen.factor * path.weights(chosen.alpha) / spread
        self.classify.weight.copy_(weights.T)
        self.classify.bias.copy_(chosen.factor * targets.mean(dim=0) - centre @ weights)
        return chosen.held_out

    def _random_features(self, pooled: Float[Tensor, "batch features"]) -> Float[Tensor, "batch width"]:
        return ((pooled - self.mean) / self.scale @ self.projection).relu()

    def _pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        return torch.cat([average(features[tap]) for tap in self.taps_used], dim=1)
