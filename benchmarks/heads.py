"""Other heads and averages than those of the default `udta`, for the ablation table: none of them is in the package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters.base import Samples, channels, positions
from udta.adapters.least_squares import RidgePath
from udta.adapters.linear import LinearProbe, zero_linear
from udta.adapters.regularisation import choose_alpha
from udta.adapters.samples import gather
from udta.adapters.standardisation import standardisation
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


class AttentionPool(Udta):
    """Beside the default, four weighted averages of the last second-order tap; a learned query gives a position its weight."""

    heads: ClassVar[int] = 4

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.tap = self.second_order[-1]
        self.n_fixed, width = self.probe.classify.in_features, channels(self.taps[self.tap])
        self.scale_positions = nn.BatchNorm1d(width, affine=False)
        # Small, but not zero, or all heads would stay the same; one axis, which keeps the optimiser from decaying it.
        self.queries = nn.Parameter(0.1 * torch.randn(self.heads * width))
        self.probe = LinearProbe(self.n_fixed + self.heads * width, n_classes)

    def pool(self, features: Mapping[str, Tensor]) -> Tensor:
        """Those of `Udta`, then all positions of the tap."""
        return torch.cat([super().pool(features), positions(features[self.tap]).flatten(1)], dim=1)

    def classify(self, vectors: Tensor) -> Tensor:
        """The linear layer on what is fixed and what is attended to."""
        maps = vectors[:, self.n_fixed :].view(len(vectors), -1, self.scale_positions.num_features)
        z = self.scale_positions(maps.flatten(0, 1)).view_as(maps)
        weights = (z @ self.queries.view(self.heads, -1).T / z.shape[2] ** 0.5).softmax(dim=1)
        attended = (weights.transpose(1, 2) @ z).flatten(1)
        logits: Tensor = self.probe(torch.cat([vectors[:, : self.n_fixed], attended], dim=1))
        return logits


class ClosedFormStart(Udta):
    """The linear layer starts as ridge regression onto one-hot targets; regularisation and scale come from leaving out images."""

    @property
    def solves_labels(self) -> bool:
        """The ridge regression does."""
        return True

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> None:
        """Directions, then weights and the statistics of the standardisation."""
        super().solve(samples)
        found = gather(samples, self.pool)
        mean, scale = standardisation(found.features.double())
        x, targets = (found.features - mean) / scale, F.one_hot(found.labels, self.n_classes).double()
        path = RidgePath(x, targets, found.images)
        chosen = choose_alpha(path, None, self.task, found.labels)
        self.probe.standardise.running_mean.copy_(mean)
        self.probe.standardise.running_var.copy_(scale**2)
        weights, offsets = path.linear(chosen.alpha)
        self.probe.classify.weight.copy_((chosen.rescaling.factor * weights).T)
        self.probe.classify.bias.copy_(chosen.rescaling.factor * offsets)
