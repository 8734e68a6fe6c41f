"""Ridge regression onto one-hot targets: a linear classifier in closed form, with nothing to tune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters.base import Adapter, AdapterOptions, HeldOut, Recipe, Samples, average, channels
from udta.adapters.least_squares import RidgePath
from udta.adapters.linear import zero_linear
from udta.adapters.regularisation import choose_alpha
from udta.adapters.samples import gather, standardisation


class RidgeOptions(AdapterOptions):
    """Options of `ridge`.

    `taps`: the averages of the `last` tap, or of `all` of them side by side.
    `alpha`: penalty beside the mean squared error of standardised features (scikit-learn's alpha is this times the number of
    samples); None chooses the one whose predictions of left-out images have the least cross-entropy.
    """

    taps: Literal["last", "all"] = "last"
    alpha: float | None = Field(default=None, gt=0)


class Ridge(Adapter):
    """`ridge`: averages -> standardisation -> least squares onto one-hot targets, scaled into log-probabilities.

    Source: Hoerl and Kennard 1970, "Ridge Regression"; regularisation and scale come from leaving out one image at a time.
    """

    name: ClassVar[str] = "ridge"
    recipe: ClassVar[Recipe] = Recipe(epochs=1)  # no steps; one pass over the data is what its cost is counted by
    closed_form: ClassVar[bool] = True
    options_type: ClassVar[type[AdapterOptions]] = RidgeOptions
    settings: RidgeOptions

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
        targets = F.one_hot(labels, self.n_classes).double()
        path = RidgePath((x - mean) / scale, targets, found.images)
        chosen = choose_alpha(path, self.settings.alpha, labels)
        # The standardisation goes into the weights: one linear layer is all that is left.
        weights = chosen.factor * path.weights(chosen.alpha) / scale[:, None]
        self.classify.weight.copy_(weights.T)
        self.classify.bias.copy_(chosen.factor * targets.mean(dim=0) - mean @ weights)
        return chosen.held_out

    def _pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        return torch.cat([average(features[tap]) for tap in self.taps_used], dim=1)
