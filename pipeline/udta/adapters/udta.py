"""UDTA, the unidirectional thin adapter: thin second-order pooling of middle taps beside a linear path on averages.

The paper (arXiv 2203.10463) fixes the idea: outputs of several layers of a frozen backbone go in, nothing goes back, and what
comes out complements the backbone's own features. The blocks here are our own design, chosen by measurement; see
docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from udta.adapters._choice import MOST_TAPS, Choice, Fixed, LeaveOut, any_images, choose, images_to_look_at, spread
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
from udta.adapters.samples import Gathered, at_most, gather, of_every_batch, views_of_images
from udta.errors import ConfigError, did_you_mean

# Covariances of every one are taken before some are chosen; a store may have all blocks of a large transformer.
MOST_CANDIDATES = 8
# Of the float32 numbers that directions are learned from: 12,300 views at the default width and the taps of a MobileNetV2. More
# views are read, but a random part of them is kept.
_MOST_BYTES = 256 << 20


class UdtaOptions(AdapterOptions):
    """Options of `udta`.

    What is left open is chosen by leaving out training images; with `principal` directions, for which no label is looked at, it
    is three taps spread over the depth, 1 and yes.
    """

    width: int = Field(
        64, ge=2, le=512, description="Channels after the thin reduction of a second-order tap; never more than it has."
    )
    second_order: list[str] | None = Field(
        None, description="The taps that are pooled so; left open, chosen among the middle taps that have positions."
    )
    weight: float | None = Field(
        None, gt=0, le=100, description="What standardised second-order numbers are multiplied with; left open, chosen."
    )
    averages: bool | None = Field(
        None, description="Whether the averages of middle taps with positions are read too; left open, chosen."
    )
    directions: Literal["learned", "principal"] = Field(
        "learned",
        description="Of the thin channels: principal ones need no labels, learned ones are those, turned to tell classes apart.",
    )


class Udta(PooledAdapter):
    """`udta`: one linear layer on averages beside the sqrt-covariances of thin second-order taps.

    It starts at zero, so the adapter starts as the linear probe does. Which taps are pooled, what they weigh, and the thin
    channels, which are directions of a tap, are found before the first step, and fixed. A middle tap that is a vector has no
    covariance; it joins the averages.
    """

    name: ClassVar[str] = "udta"
    # Chosen by cross-validation on training splits; docs/adapters.md has the figures.
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=10.0)
    options_type: ClassVar[type[AdapterOptions]] = UdtaOptions
    deciding: ClassVar[tuple[str, ...]] = ("chosen",)
    settings: UdtaOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        last = list(self.taps)[-1]
        self.second_order = self._candidates()
        self.linear_taps = [tap for tap, shape in self.taps.items() if n_positions(shape) == 1 or tap == last]
        # Their averages are read where the choice says so.
        self.middle = (
            [] if self.settings.averages is False else [tap for tap in self.taps if tap not in self.linear_taps]
        )
        pools = [
            CovariancePool(channels(self.taps[tap]), min(self.settings.width, channels(self.taps[tap])))
            for tap in self.second_order
        ]
        self.pools = nn.ModuleList(pools)  # a list, because a module dictionary refuses the dots of tap names
        asked = self.settings.second_order
        self.fixed = Fixed(
            None if asked is None else tuple(range(len(pools))), self.settings.weight, self.settings.averages
        )
        # Room for as many taps as may be chosen, of the largest: a choice of fewer leaves zeros behind.
        sizes = sorted((pool.n_features for pool in pools), reverse=True)[: MOST_TAPS if asked is None else None]
        self.probe = LinearProbe(self._n_averages + sum(sizes), n_classes)
        # The choice as buffers: they stand in the file, and have the same shape whatever it is.
        self.register_buffer("chosen", torch.zeros(len(pools), dtype=torch.bool))
        self.register_buffer("scale", torch.ones(self.probe.classify.in_features))
        self.chosen: Tensor
        self.scale: Tensor
        self._take(self.fixed.default(len(pools)))

    @property
    def taps_used(self) -> tuple[str, ...]:
        """Those of the averages and those that may be pooled to second order."""
        return tuple(tap for tap in self.taps if tap in (*self.linear_taps, *self.middle, *self.second_order))

    @property
    def solves_labels(self) -> bool:
        """Learned directions, and what is chosen with them, depend on labels."""
        return bool(self.second_order) and self.settings.directions == "learned"

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> None:
        """The choice and the directions; reads nothing where no tap is pooled to second order."""
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
        most = max(2, _MOST_BYTES // (4 * (self._n_averages + sum(pool.n_features for pool in pools))))
        small = gather(at_most(most, samples, n_samples), self._averages_and_covariances)
        self._take(self._choice(small))
        self._turn(small)

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """Averages, then the upper triangles of the roots of the taps that are chosen, tap by tap, then zeros."""
        taken = [
            (tap, pool) for (tap, pool), is_taken in zip(self._pooled(), self.chosen.tolist(), strict=True) if is_taken
        ]
        vectors = self._beside_averages(features, [pool(positions(features[tap])) for tap, pool in taken])
        return F.pad(vectors, (0, self.probe.classify.in_features - vectors.shape[1]))

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """The linear layer on standardised numbers, each times its scale."""
        layer = self.probe.classify
        # The weights are scaled rather than the vectors, which all adapters of a sweep share.
        logits: Tensor = F.linear(self.probe.standardise(vectors), layer.weight * self.scale, layer.bias)
        return logits

    @property
    def mean_vector(self) -> Float[Tensor, " features"]:
        """That of the probe; the roots double with the features, since covariances become four times as large."""
        return self.probe.mean

    def _choice(self, small: Gathered) -> Choice:
        """What predicts images best that are left out; the default where there are too few."""
        n_views = views_of_images(small.images)
        index = torch.arange(len(n_views), device=n_views.device).repeat_interleave(n_views)
        labels = self.standardise_labels(small.labels[n_views.cumsum(0) - n_views])
        some = images_to_look_at(labels, self.n_classes) if self.task.exclusive else any_images(len(labels))
        looked_at = some.to(labels.device)
        if not looked_at.any() or self.fixed.everything:
            return self.fixed.default(len(self.second_order))
        rows = looked_at[index]

        def of_images(values: Float[Tensor, "rows numbers"]) -> Float[Tensor, "images numbers"]:
            """The mean over the views of each image."""
            sums = values.new_zeros(len(n_views), values.shape[1]).index_add_(0, index[rows], values)
            means: Tensor = sums[looked_at] / n_views[looked_at, None]
            return means

        always, middle, covariances = self._parts(small.features[rows])
        roots = [pool.roots(each) for pool, each in zip(self._pools(), covariances, strict=True)]
        return choose(
            of_images(torch.cat(always, dim=1)),
            [of_images(each) for each in middle],
            [of_images(each) for each in roots],
            LeaveOut(self.task, labels[looked_at], self.n_classes),
            self.fixed,
        )

    def _turn(self, small: Gathered) -> None:
        """Turns the directions of the taps that are chosen, beside the averages that are read."""
        always, middle, covariances = self._parts(small.features)
        averages = torch.cat([*always, *(middle if self._reads_middle else [])], dim=1)
        chosen = self.chosen.nonzero()[:, 0].tolist()
        vectors = torch.cat([averages, *(covariances[number] for number in chosen)], dim=1)
        pools = self._pools()
        widths = [len(pools[number].reduction) for number in chosen]
        found = replace(small, features=vectors)
        turns = learn_turns(found, averages.shape[1], widths, self.task, self.targets(found.labels), self.recipe)
        for number, turn in zip(chosen, turns, strict=True):
            pools[number].reduction.copy_(turn @ pools[number].reduction)

    def _take(self, choice: Choice) -> None:
        self.chosen.fill_(False)
        self.chosen[list(choice.second_order)] = True
        n_always = sum(channels(self.taps[tap]) for tap in self.linear_taps)
        self.scale.fill_(choice.weight)
        self.scale[:n_always] = 1.0
        self.scale[n_always : self._n_averages] = float(choice.averages)

    def _products(self, batch: Samples) -> tuple[int, list[tuple[Tensor, int]]]:
        """How many samples, and of each second-order tap what `WithinSample.add_products` wants."""
        maps = [positions(batch.taps[tap].float()) for tap in self.second_order]
        return len(batch.labels), [(products(each), each.shape[0] * each.shape[1]) for each in maps]

    def _averages_and_covariances(self, features: Mapping[str, Tensor]) -> Tensor:
        """Of all taps, chosen or not."""
        return self._beside_averages(
            features, [pool.covariance(positions(features[tap])) for tap, pool in self._pooled()]
        )

    def _parts(self, vectors: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """What `_averages_and_covariances` gave, apart: averages that are always read, those of middle taps, covariances."""
        averages = [channels(self.taps[tap]) for tap in (*self.linear_taps, *self.middle)]
        parts = torch.split(vectors, [*averages, *(pool.n_features for pool in self._pools())], dim=1)
        n_always, n_averages = len(self.linear_taps), len(averages)
        return list(parts[:n_always]), list(parts[n_always:n_averages]), list(parts[n_averages:])

    def _beside_averages(self, features: Mapping[str, Tensor], second_order: list[Tensor]) -> Tensor:
        averages = [average(features[tap]) for tap in (*self.linear_taps, *self.middle)]
        return torch.cat([*averages, *second_order], dim=1)

    @property
    def _n_averages(self) -> int:
        return sum(channels(self.taps[tap]) for tap in (*self.linear_taps, *self.middle))

    @property
    def _reads_middle(self) -> bool:
        return bool(self.middle) and bool(self.scale[self._n_averages - 1] > 0)

    def _pools(self) -> list[CovariancePool]:
        return [pool for pool in self.pools if isinstance(pool, CovariancePool)]  # a list of modules does not say so

    def _pooled(self) -> list[tuple[str, CovariancePool]]:
        return list(zip(self.second_order, self._pools(), strict=True))

    def _candidates(self) -> list[str]:
        asked, last = self.settings.second_order, list(self.taps)[-1]
        able = [tap for tap, shape in self.taps.items() if n_positions(shape) > 1]
        if asked is None:
            middle = [tap for tap in able if tap != last]
            return [middle[index] for index in spread(len(middle), MOST_CANDIDATES)]
        problems = [
            f"adapter 'udta', option 'second_order': {tap!r} is no tap with positions: {did_you_mean(tap, able)}"
            for tap in asked
            if tap not in able
        ]
        if problems:
            raise ConfigError(problems)
        return [tap for tap in able if tap in asked]
