"""Head2Toe: the features of all layers, of which a first linear fit keeps those that matter for the task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters._group_lasso import group_lasso
from udta.adapters.base import (
    AdapterOptions,
    PooledAdapter,
    Recipe,
    Samples,
    average,
    channels,
)
from udta.adapters.linear import LinearProbe
from udta.adapters.samples import gather
from udta.adapters.standardisation import standardisation


class Head2ToeOptions(AdapterOptions):
    """Options of `head2toe`."""

    # Defaults by 3-fold cross-validation on the training split of ten dishes (top-1 of one view / averaged over eight): half of
    # the averages 73.6 / 74.2, all of them 74.2 / 74.0; of 2 x 2 cells half 73.6 / 74.4, a fifth 71.3 / 72.9. So the cheapest.
    keep: float = Field(0.5, gt=0, le=1, description="The share of all features that the head reads.")
    grid: int = Field(
        1,
        ge=1,
        le=16,
        description="Maps are pooled to grid x grid cells, each a feature; at most as many as the map has.",
    )
    strength: float = Field(
        0.02, gt=0, lt=1, description="Of the group lasso, as a share of what would switch every feature off."
    )


class Head2Toe(PooledAdapter):
    """`head2toe`: pooled maps of all taps -> the most relevant features -> standardisation -> linear.

    The relevance of a feature is the norm of its row of weights in a first linear fit to all of them under a group lasso (Evci
    et al. 2022, "Head2Toe", arXiv 2201.03529, section 3.2). Here that fit is least squares, which needs no training by gradients,
    and features are standardised one by one instead of scaled by layer.
    """

    name: ClassVar[str] = "head2toe"
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=30.0)
    options_type: ClassVar[type[AdapterOptions]] = Head2ToeOptions
    settings: Head2ToeOptions

    selected: Tensor

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.n_features = sum(self._n_pooled(shape) for shape in self.taps.values())
        # At least one, however few are asked for: a linear layer of no feature cannot be built.
        n_selected = max(1, round(self.settings.keep * self.n_features))
        # Until `solve` has chosen: the deepest ones.
        self.register_buffer("selected", torch.arange(self.n_features - n_selected, self.n_features))
        self.probe = LinearProbe(n_selected, n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.taps)

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """All features, those that are not selected too: which are depends on labels."""
        return torch.cat([self._pool_one(features[tap]) for tap in self.taps], dim=1)

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """From the selected features."""
        logits: Tensor = self.probe(vectors[:, self.selected])
        return logits

    @property
    def mean_vector(self) -> Float[Tensor, " features"]:
        """That of the probe; nothing of features that are not selected, which say nothing."""
        return self.probe.mean.new_zeros(self.n_features).index_copy(0, self.selected, self.probe.mean)

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> None:
        """Chooses the features; the head is trained by gradients."""
        found = gather(samples, self.pool)
        mean, scale = standardisation(found.features)
        targets = self.targets(found.labels)
        weights = group_lasso((found.features - mean) / scale, targets - targets.mean(dim=0), self.settings.strength)
        # Stable, so that features that matter alike, as those that were switched off, are taken in their order.
        best = weights.norm(dim=1).argsort(descending=True, stable=True)[: len(self.selected)]
        self.selected.copy_(best.sort().values)

    def _pool_one(self, feature: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch features"]:
        if feature.ndim != 4:
            return average(feature)
        return F.adaptive_avg_pool2d(feature, self._cells(tuple(feature.shape[1:]))).flatten(1)

    def _n_pooled(self, shape: tuple[int, ...]) -> int:
        if len(shape) != 3:
            return channels(shape)
        height, width = self._cells(shape)
        return shape[0] * height * width

    def _cells(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return min(self.settings.grid, shape[1]), min(self.settings.grid, shape[2])
