"""UDTA, the unidirectional thin adapter: thin second-order pooling of middle taps beside a linear path on the last one.

The paper (arXiv 2203.10463) fixes the idea: outputs of several layers of a frozen backbone go in, nothing goes back, and what
comes out complements the backbone's own features. The blocks here are our own design, chosen by measurement; see
docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from udta.adapters.base import Adapter, AdapterOptions, Recipe, average, channels, n_positions, positions
from udta.adapters.covariance import CovariancePool
from udta.adapters.linear import LinearProbe
from udta.errors import ConfigError, did_you_mean

# Second-order vectors are longer than averages and would lead where the last tap is better. By 3-fold cross-validation on
# training splits (two seeds; wrong images, one view, at 1 and at 0.5): 14 and 11 of 477 monkeys, 112 and 109.5 of 450 dishes.
SECOND_ORDER_SCALE = 0.5
# One tap costs half and is as good on photographs; on letters, whose backbone knows nothing of fonts, a second one took the wrong
# images from 648 to 555 of 1008 (3-fold cross-validation on the training split).
SECOND_ORDER_TAPS = 2


class UdtaOptions(AdapterOptions):
    """Options of `udta`.

    `width`: channels after the thin reduction of a second-order tap (never more than it has).
    `second_order`: the taps that are pooled so; None takes the last two middle taps that have positions.
    """

    width: int = Field(default=64, ge=2, le=512)
    second_order: list[str] | None = None


class Udta(Adapter):
    """`udta`: logits = linear(average of the last tap) + sum over second-order taps of linear(sqrt-covariance, thin).

    Every linear layer starts at zero, so the adapter starts as the linear probe does, and each part learns only what the others
    leave. A middle tap that is a vector has no covariance; it joins the linear path.
    """

    name: ClassVar[str] = "udta"
    # Chosen by cross-validation on training splits; docs/adapters.md has the figures.
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=10.0)
    options_type: ClassVar[type[AdapterOptions]] = UdtaOptions
    settings: UdtaOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.second_order = self._choose()
        last = list(self.taps)[-1]
        self.linear_taps = [tap for tap, shape in self.taps.items() if n_positions(shape) == 1 or tap == last]
        self.probe = LinearProbe(sum(channels(self.taps[tap]) for tap in self.linear_taps), n_classes)
        pools = [
            CovariancePool(channels(self.taps[tap]), min(self.settings.width, channels(self.taps[tap])))
            for tap in self.second_order
        ]
        # Lists, because a module dictionary refuses the dots of tap names.
        self.pools = nn.ModuleList(pools)
        self.heads = nn.ModuleList(LinearProbe(pool.n_features, n_classes, SECOND_ORDER_SCALE) for pool in pools)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The linear path's and the second-order ones."""
        return tuple(tap for tap in self.taps if tap in self.linear_taps or tap in self.second_order)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """The sum over all parts."""
        logits: Tensor = self.probe(torch.cat([average(features[tap]) for tap in self.linear_taps], dim=1))
        for tap, pool, head in zip(self.second_order, self.pools, self.heads, strict=True):
            logits = logits + head(pool(positions(features[tap])))
        return logits

    def _choose(self) -> list[str]:
        asked = self.settings.second_order
        able = [tap for tap, shape in self.taps.items() if n_positions(shape) > 1]
        if asked is None:
            return [tap for tap in able if tap != list(self.taps)[-1]][-SECOND_ORDER_TAPS:]
        problems = [
            f"adapter 'udta', option 'second_order': {tap!r} is no tap with positions: {did_you_mean(tap, able)}"
            for tap in asked
            if tap not in able
        ]
        if problems:
            raise ConfigError(problems)
        return [tap for tap in able if tap in asked]
