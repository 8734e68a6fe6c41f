"""UDTA, the unidirectional thin adapter: thin second-order pooling of middle taps beside a linear path on the last one.

The paper (arXiv 2203.10463) fixes the idea: outputs of several layers of a frozen backbone go in, nothing goes back, and what
comes out complements the backbone's own features. The blocks here are our own design, chosen by measurement; see
docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from udta.adapters.base import (
    AdapterOptions,
    PooledAdapter,
    Recipe,
    Samples,
    average,
    channels,
    n_positions,
    positions,
)
from udta.adapters.covariance import CovariancePool, WithinSample, products
from udta.adapters.directions import learn_turns
from udta.adapters.linear import LinearProbe
from udta.adapters.samples import at_most, gather, of_every_batch
from udta.errors import ConfigError, did_you_mean

# By 3-fold cross-validation on training splits: `features.13` alone has 111 wrong of 450 dishes, beside `features.17` 102.5; on
# letters, whose backbone knows nothing of fonts, `stage2` alone has 625.5 of 1008, beside `stage3` 605.5 (docs/adapters.md).
SECOND_ORDER_TAPS = 2
# Of the float32 numbers that directions are learned from: 12,300 views at the default width and the taps of a MobileNetV2. More
# views are read, but a random part of them is kept.
_MOST_BYTES = 256 << 20


class UdtaOptions(AdapterOptions):
    """Options of `udta`.

    `width`: channels after the thin reduction of a second-order tap (never more than it has).
    `second_order`: the taps that are pooled so; None takes the last two middle taps that have positions.
    `directions`: of the thin channels; `principal` ones need no labels, `learned` ones are those, turned to tell classes apart.
    """

    width: int = Field(default=64, ge=2, le=512)
    second_order: list[str] | None = None
    directions: Literal["learned", "principal"] = "learned"


class Udta(PooledAdapter):
    """`udta`: one linear layer on the average of the last tap beside the sqrt-covariances of thin second-order taps.

    It starts at zero, so the adapter starts as the linear probe does. The thin channels are directions of a tap that are found
    before the first step, and fixed. A middle tap that is a vector has no covariance; it joins the averages.
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
        pools = [
            CovariancePool(channels(self.taps[tap]), min(self.settings.width, channels(self.taps[tap])))
            for tap in self.second_order
        ]
        self.pools = nn.ModuleList(pools)  # a list, because a module dictionary refuses the dots of tap names
        n_averages = sum(channels(self.taps[tap]) for tap in self.linear_taps)
        self.probe = LinearProbe(n_averages + sum(pool.n_features for pool in pools), n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """Those of the averages and the second-order ones."""
        return tuple(tap for tap in self.taps if tap in self.linear_taps or tap in self.second_order)

    @property
    def solves_labels(self) -> bool:
        """Learned directions depend on labels."""
        return bool(self.second_order) and self.settings.directions == "learned"

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> None:
        """The directions; reads nothing where no tap is pooled to second order."""
        if not self.second_order:
            return
        found, n_samples = [WithinSample() for _ in self.second_order], 0
        for n, parts in of_every_batch(self._products, samples):
            n_samples += n
            for each, part in zip(found, parts, strict=True):
                each.add_products(*part)
        # Principal directions first: turned ones are turned within their space.
        pools = self._pools()
        for pool, each in zip(pools, found, strict=True):
            pool.reduction.copy_(each.principal(len(pool.reduction)))
        if self.settings.directions == "principal":
            return
        # The maps are read a second time: kept, they would be 96 x 14 x 14 numbers a view where the covariance has 2,080.
        n_features, widths = self.probe.classify.in_features, [len(pool.reduction) for pool in pools]
        most = max(2, _MOST_BYTES // (4 * n_features))
        small = gather(at_most(most, samples, n_samples), self._averages_and_covariances)
        n_averages = n_features - sum(pool.n_features for pool in pools)
        for pool, turn in zip(pools, learn_turns(small, n_averages, widths, self.n_classes, self.recipe), strict=True):
            pool.reduction.copy_(turn @ pool.reduction)

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """Averages, then the upper triangles of the roots, tap by tap."""
        roots = [pool(positions(features[tap])) for tap, pool in zip(self.second_order, self._pools(), strict=True)]
        return self._beside_averages(features, roots)

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """The linear layer."""
        logits: Tensor = self.probe(vectors)
        return logits

    def _products(self, batch: Samples) -> tuple[int, list[tuple[Tensor, int]]]:
        """How many samples, and of each second-order tap what `WithinSample.add_products` wants."""
        maps = [positions(batch.taps[tap].float()) for tap in self.second_order]
        return len(batch.labels), [(products(each), each.shape[0] * each.shape[1]) for each in maps]

    def _averages_and_covariances(self, features: Mapping[str, Tensor]) -> Tensor:
        taps = zip(self.second_order, self._pools(), strict=True)
        return self._beside_averages(features, [pool.covariance(positions(features[tap])) for tap, pool in taps])

    def _beside_averages(self, features: Mapping[str, Tensor], second_order: list[Tensor]) -> Tensor:
        return torch.cat([*(average(features[tap]) for tap in self.linear_taps), *second_order], dim=1)

    def _pools(self) -> list[CovariancePool]:
        return [pool for pool in self.pools if isinstance(pool, CovariancePool)]  # a list of modules does not say so

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
