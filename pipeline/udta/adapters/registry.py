"""Adapters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from udta.adapters.base import Adapter
from udta.adapters.concat_linear import ConcatLinear
from udta.adapters.head2toe import Head2Toe
from udta.adapters.knn import Knn
from udta.adapters.ladder import Ladder
from udta.adapters.linear import Linear
from udta.adapters.ridge import Ridge
from udta.adapters.udta import Udta
from udta.errors import ConfigError, did_you_mean

ADAPTERS: Mapping[str, type[Adapter]] = {
    adapter.name: adapter for adapter in (Udta, Ladder, Head2Toe, ConcatLinear, Linear, Ridge, Knn)
}


def find_adapter(name: str) -> type[Adapter]:
    """The adapter class of this name.

    Raises:
        ConfigError: there is none; the nearest names are given.
    """
    if name not in ADAPTERS:
        raise ConfigError(f"there is no adapter {name!r}: {did_you_mean(name, ADAPTERS)}")
    return ADAPTERS[name]


def build_adapter(name: str, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> Adapter:
    """A new adapter with random initial weights (seed torch first for the same ones).

    Args:
        name: a key of `ADAPTERS`.
        taps: shape of one view of one sample by tap, in execution order.
        n_classes: width of the logits.
        **options: the adapter's own options, JSON values.

    Raises:
        ConfigError: unknown name, unknown or wrong options, shapes no adapter can read; every problem is listed.
    """
    return find_adapter(name)(taps, n_classes, **options)
