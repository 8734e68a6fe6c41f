"""The multi-layer linear probe: standardised averages of every tap side by side, one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from udta.adapters.base import PooledAdapter, Recipe, average, channels
from udta.adapters.linear import LinearProbe, narrow_gain


class ConcatLinear(PooledAdapter):
    """`concat_linear`: the averages of all taps -> standardisation -> linear (as Head2Toe without its selection step).

    Source: Evci et al. 2022, "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning",
    arXiv 2201.03529, section 3.
    """

    name: ClassVar[str] = "concat_linear"
    # That of `linear`: what the two differ in is the taps that they read.
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=30.0)

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        n_features = sum(channels(shape) for shape in self.taps.values())
        self.probe = LinearProbe(n_features, n_classes, narrow_gain(n_features))

    @property
    def taps_used(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.taps)

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """The averages of all taps, side by side."""
        # Side by side at their own scales: the standardisation behind evens them out.
        return torch.cat([average(features[tap]) for tap in self.taps_used], dim=1)

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """The probe."""
        logits: Tensor = self.probe(vectors)
        return logits

    @property
    def mean_vector(self) -> Float[Tensor, " features"]:
        """That of the probe."""
        return self.probe.mean
