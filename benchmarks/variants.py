"""What the default `udta` was compared with, beside options: directions learned all along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters import Adapter, AdapterOptions, Recipe, Samples
from udta.adapters.base import average, positions
from udta.adapters.covariance import EPSILON, STEPS, CovariancePool, WithinSample, matrix_sqrt, thin_covariance
from udta.adapters.udta import Udta, UdtaOptions


class LearnedThroughout(Adapter):
    """Unit directions of channels scaled to unit variance, random at first, trained with all else; the rest is as in `Udta`."""

    name: ClassVar[str] = "learned throughout"
    recipe: ClassVar[Recipe] = Udta.recipe
    options_type: ClassVar[type[AdapterOptions]] = UdtaOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.fixed = Udta(taps, n_classes, **{"averages": False, **options})
        shapes = [pool.reduction.shape for pool in self._pools()]
        self.directions = nn.ParameterList(nn.init.orthogonal_(torch.empty(shape)) for shape in shapes)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(shape[1]), requires_grad=False) for shape in shapes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """Those of `Udta`."""
        return self.fixed.taps_used

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> None:
        """The scales of the channels."""
        found = [WithinSample() for _ in self.fixed.second_order]
        for batch in samples:
            for tap, each in zip(self.fixed.second_order, found, strict=True):
                each.add(positions(batch.taps[tap].float()))
        for scale, each in zip(self.scales, found, strict=True):
            scale.copy_((each.covariance().diagonal() + EPSILON).rsqrt())

    def logits(self, features: Mapping[str, Tensor]) -> Tensor:
        """As `Udta`, with a gradient into the directions."""
        parts = [average(features[tap]) for tap in self.fixed.linear_taps]
        for tap, directions, scale, pool in zip(
            self.fixed.second_order, self.directions, self.scales, self._pools(), strict=True
        ):
            unit = F.normalize(directions, dim=1)
            root = matrix_sqrt(thin_covariance(positions(features[tap]), unit * scale), STEPS)
            parts.append(root.flatten(1).index_select(1, pool.upper))
        return self.fixed.classify(torch.cat(parts, dim=1))

    def _pools(self) -> list[CovariancePool]:
        return [pool for pool in self.fixed.pools if isinstance(pool, CovariancePool)]
