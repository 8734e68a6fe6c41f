"""Ladder side tuning: a thin network of its own climbs along the taps and takes a gated share of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters.base import Adapter, AdapterOptions, Recipe, average, channels
from udta.adapters.linear import LinearProbe


class LadderOptions(AdapterOptions):
    """Options of `ladder`."""

    width: int = Field(64, ge=2, le=512, description="Channels of the side network.")


class Rung(nn.Module):
    """One step of the side network: a gated mix of its state and a thin tap, then a residual block.

    The state is a map [batch, width, height, width]; tokens are a map of one row, a vector one of a single cell. The gate is one
    learned number a rung, in (0, 1), at first one half (Sung et al. 2022, equation of section 3.2, without its temperature).
    """

    def __init__(self, shape: tuple[int, ...], width: int, first: bool) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm2d(channels(shape), affine=False)
        self.reduce = nn.Conv2d(channels(shape), width, 1, bias=False)
        # A scalar, before the sigmoid: 0 is one half.
        self.gate = None if first else nn.Parameter(torch.zeros(()))
        self.is_map = len(shape) == 3
        # Tokens and vectors have no neighbours that a 3 x 3 could mix.
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False) if self.is_map else nn.Identity()
        self.mix = nn.Conv2d(width, width, 1, bias=False)
        self.normalise = nn.BatchNorm2d(width)

    def forward(
        self, state: Tensor | None, tap: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch width rows columns"]:
        """The state after this rung, of the size of the tap."""
        # Standardised first: taps differ in scale, and the gate mixes what was reduced.
        thin: Tensor = self.reduce(self.standardise(as_map(tap)))
        if state is not None and self.gate is not None:
            share = self.gate.sigmoid()
            thin = share * thin + (1 - share) * F.adaptive_avg_pool2d(state, (thin.shape[2], thin.shape[3]))
        return thin + F.relu(self.normalise(self.mix(self.around(thin))))


class Ladder(Adapter):
    """`ladder`: logits = linear(average of the last tap) + linear(average of a side network that climbs from tap to tap).

    Source: Sung et al. 2022, "LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer Learning", arXiv 2206.06522.
    Its side blocks are pruned copies of the backbone's; these are one depthwise 3x3 (maps alone) and one 1x1 convolution, because
    an adapter knows nothing of the backbone. Both linear layers start at zero, so the adapter starts as the linear probe does.
    """

    name: ClassVar[str] = "ladder"
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=10.0)
    options_type: ClassVar[type[AdapterOptions]] = LadderOptions
    settings: LadderOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        width = self.settings.width
        # A list, because a module dictionary refuses the dots of tap names.
        self.rungs = nn.ModuleList(Rung(shape, width, not index) for index, shape in enumerate(self.taps.values()))
        self.side = LinearProbe(width, n_classes)
        self.probe = LinearProbe(channels(self.taps[self.taps_used[-1]]), n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.taps)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """The sum of both parts."""
        state: Tensor | None = None
        for tap, rung in zip(self.taps_used, self.rungs, strict=True):
            state = rung(state, features[tap])
        assert state is not None
        logits: Tensor = self.probe(average(features[self.taps_used[-1]])) + self.side(state.mean(dim=(2, 3)))
        return logits


def as_map(tap: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch channels rows columns"]:
    """Any tap as a map: tokens in one row, a vector as one cell."""
    if tap.ndim == 4:
        return tap
    return tap.transpose(1, 2).unsqueeze(2) if tap.ndim == 3 else tap[:, :, None, None]
