"""RanPAC: random features of the averages, and least squares on them, which sees how features go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Num
from pydantic import Field
from torch import Tensor

from udta._machine.portable_random import random_signs
from udta.adapters.base import AdapterOptions
from udta.adapters.closed_form import AverageClosedForm, ClosedFormOptions
from udta.adapters.least_squares import RidgePath
from udta.adapters.samples import Gathered
from udta.adapters.standardisation import standardisation


class RanpacOptions(ClosedFormOptions):
    """Options of `ranpac`."""

    width: int = Field(
        1000, ge=2, le=20_000, description="How many random features there are; time grows with its cube."
    )
    seed: int = Field(0, ge=0, lt=1 << 24, description="Of the random projection.")


class Ranpac(AverageClosedForm):
    """`ranpac`: averages -> standardisation -> random projection -> ReLU -> least squares onto targets.

    Source: McDonnell et al. 2023, "RanPAC: Random Projections and Pre-trained Models for Continual Learning", arXiv 2307.02251,
    for one task. The projection is of signs, which need no file: they are drawn again from the seed, the same on every machine.
    """

    name: ClassVar[str] = "ranpac"
    options_type: ClassVar[type[AdapterOptions]] = RanpacOptions
    settings: RanpacOptions

    mean: Tensor
    scale: Tensor
    projection: Tensor

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.register_buffer("mean", torch.zeros(self.n_averages))
        self.register_buffer("scale", torch.ones(self.n_averages))
        signs = random_signs(self.n_averages, self.settings.width, self.settings.seed)
        # Sums of so many signs by features of size 1 are of size 1.
        projection = torch.from_numpy(signs).float() / self.n_averages**0.5
        self.register_buffer("projection", projection, persistent=False)

    @property
    def n_inputs(self) -> int:
        """The random features."""
        return self.settings.width

    def inputs(self, averages: Float[Tensor, "batch averages"]) -> Float[Tensor, "batch inputs"]:
        """The random features of averages."""
        return ((averages - self.mean) / self.scale @ self.projection).relu()

    def path(
        self, x: Float[Tensor, "samples inputs"], labels: Num[Tensor, "samples ..."], found: Gathered
    ) -> RidgePath:
        """Least squares."""
        return RidgePath(x, self.task.targets(labels, self.n_classes).double(), found.images)

    def standardised(
        self, averages: Float[Tensor, "samples averages"]
    ) -> tuple[Float[Tensor, "samples inputs"], Float[Tensor, " inputs"], Float[Tensor, ""]]:
        """The averages each by itself; their random features about their means, with one scale for all."""
        mean, scale = standardisation(averages.double())
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        # The Gram matrix squares the condition of the features, which float32 has no digits for.
        x = self.inputs(averages).double()
        centre, spread = x.mean(dim=0), x.std(dim=0, correction=0).mean().clamp_min(1e-6)
        return x.sub_(centre).div_(spread), centre, spread
