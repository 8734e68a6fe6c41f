"""What closed forms over averages share: which taps they read, how they regularise, and one linear layer that is left."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Num
from pydantic import Field
from torch import Tensor

from udta.adapters.base import (
    Adapter,
    AdapterOptions,
    HeldOut,
    Recipe,
    Samples,
    average,
    channels,
)
from udta.adapters.linear import zero_linear
from udta.adapters.regularisation import RegularisationPath, choose_alpha
from udta.adapters.samples import Gathered, gather
from udta.adapters.standardisation import standardisation


class ClosedFormOptions(AdapterOptions):
    """Options of closed forms over averages."""

    taps: Literal["last", "all"] = Field(
        "all", description="The averages of the last tap, or of all of them side by side."
    )
    alpha: float | None = Field(
        None,
        gt=0,
        description="Penalty beside the mean squared error of standardised features; left open, what predicts images left"
        " out with the least loss.",
    )


class AverageClosedForm(Adapter):
    """Averages of taps -> standardised numbers -> a linear layer that is solved, with what predicts left-out images best.

    The standardisation becomes a part of the weights: one linear layer is all that is left.
    """

    recipe: ClassVar[Recipe] = Recipe(epochs=1)  # no steps; one pass over the data is what its cost is counted by
    closed_form: ClassVar[bool] = True
    options_type: ClassVar[type[AdapterOptions]] = ClosedFormOptions
    settings: ClosedFormOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.n_averages = sum(channels(self.taps[tap]) for tap in self.taps_used)
        self.classify = zero_linear(self.n_inputs, n_classes)

    @property
    def n_inputs(self) -> int:
        """Of the linear layer: by default of as many as there are averages."""
        return self.n_averages

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The deepest tap, or all."""
        return tuple(self.taps) if self.settings.taps == "all" else (list(self.taps)[-1],)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """From the averages."""
        logits: Tensor = self.classify(self.inputs(self._pool(features)))
        return logits

    def inputs(self, averages: Float[Tensor, "batch averages"]) -> Float[Tensor, "batch inputs"]:
        """What the linear layer reads of averages: by default themselves."""
        return averages

    @abstractmethod
    def path(
        self, x: Float[Tensor, "samples inputs"], labels: Num[Tensor, "samples ..."], found: Gathered
    ) -> RegularisationPath:
        """The fits for every regularisation.

        Args:
            x: what the linear layer reads, standardised, float64.
            labels: of the samples, as training sees them.
            found: the same samples.
        """

    def prior(self, labels: Num[Tensor, "samples ..."]) -> Float[Tensor, " classes"] | None:
        """Logarithms of the shares of classes, of fits whose scores know nothing of them."""
        return None

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> HeldOut:
        """The weights; returns how well images are predicted by the fit to all others, with the alpha that does it best."""
        found = gather(samples, self._pool)
        labels = self.standardise_labels(found.labels)
        x, centre, scale = self.standardised(found.features)
        path, prior = self.path(x, labels, found), self.prior(labels)
        chosen = choose_alpha(path, self.settings.alpha, self.task, labels, prior)
        weights, offsets = path.linear(chosen.alpha)
        factor, added = chosen.rescaling.factor, chosen.rescaling.offset
        weights = factor * weights / scale[..., None]
        bias = factor * offsets - centre @ weights
        self.classify.weight.copy_(weights.T)
        self.classify.bias.copy_(bias if added is None else bias + added)
        if self.task.decides:
            left_out = chosen.rescaling(path.left_out(chosen.alpha).float())
            self.threshold.copy_(self.task.thresholds(left_out, labels))
        return chosen.held_out

    def standardised(
        self, averages: Float[Tensor, "samples averages"]
    ) -> tuple[Float[Tensor, "samples inputs"], Float[Tensor, " inputs"], Float[Tensor, ...]]:
        """What the linear layer reads, less its mean and over its scale, and these two; in float64."""
        # The Gram matrix squares the condition of the features, which float32 has no digits for.
        x = averages.double()
        mean, scale = standardisation(x)
        return (x - mean) / scale, mean, scale

    def _pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch averages"]:
        return torch.cat([average(features[tap]) for tap in self.taps_used], dim=1)
