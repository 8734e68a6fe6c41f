"""Other heads and averages than those of the default `udta`, for the ablation table: none of them is in the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from udta.adapters.base import average, channels
from udta.adapters.linear import LinearProbe, zero_linear
from udta.adapters.udta import Udta


class MovingAverage(Udta):
    """Evaluated with an exponential moving average of the linear layer's weights, 0.99 a step."""

    decay: ClassVar[float] = 0.99

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.mean = zero_linear(self.probe.classify.in_features, n_classes).requires_grad_(False)

    def classify(self, vectors: Tensor) -> Tensor:
        """Every step takes part in the average with the weights that it began with."""
        layer = self.probe.classify
        if self.training:
            with torch.no_grad():
                for mean, value in zip(self.mean.parameters(), layer.parameters(), strict=True):
                    mean.lerp_(value, 1 - self.decay)
        logits: Tensor = (layer if self.training else self.mean)(self.probe.standardise(vectors))
        return logits


class LowRank(Udta):
    """The weights of the second-order numbers are a product of inner rank 64, the factor next to the classes zero at first."""

    rank: ClassVar[int] = 64

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.n_averages = sum(channels(self.taps[tap]) for tap in self.linear_taps)
        total = self.probe.classify.in_features
        self.standardise = nn.BatchNorm1d(total, affine=False)
        self.probe = LinearProbe(self.n_averages, n_classes)
        self.down = nn.Linear(total - self.n_averages, self.rank, bias=False)
        self.up = zero_linear(self.rank, n_classes)

    def classify(self, vectors: Tensor) -> Tensor:
        """Both paths on standardised numbers."""
        z = self.standardise(vectors)
        logits: Tensor = self.probe.classify(z[:, : self.n_averages]) + self.up(self.down(z[:, self.n_averages :]))
        return logits


class AverageOfBoth(Udta):
    """The averages of the second-order taps join that of the last tap."""

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        extra = sum(channels(self.taps[tap]) for tap in self.second_order)
        self.probe = LinearProbe(self.probe.classify.in_features + extra, n_classes)

    def pool(self, features: Mapping[str, Tensor]) -> Tensor:
        """Those of `Udta`, then the averages."""
        return torch.cat([super().pool(features), *(average(features[tap]) for tap in self.second_order)], dim=1)
