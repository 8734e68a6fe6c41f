"""What training needs of a store: an adapter of its shape, batches for gradient steps, and every view of every row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from udta.adapters import Adapter, find_adapter
from udta.device import own_randomness
from udta.loader import Batch, FeatureLoader
from udta.store import Store

_ROWS = 64


def build(adapter: str, store: Store, options: Mapping[str, Any], seed: int) -> Adapter:
    """A new adapter for the taps and classes of a store; its initial weights depend on `seed` alone."""
    with own_randomness(seed):
        shapes = {tap.name: tap.shape for tap in store.taps.values()}
        return find_adapter(adapter)(shapes, len(store.classes), **options)


@dataclass(frozen=True)
class EveryView:
    """Every cached view of every row of `loader` exactly once, each a sample of its own."""

    loader: FeatureLoader

    def __iter__(self) -> Iterator[Batch]:
        return (batch.flat() for batch in self.loader)


def training_sources(
    adapter: Adapter, store: Store, rows: np.ndarray, batch_size: int, seed: int, device: str | torch.device
) -> tuple[FeatureLoader, EveryView]:
    """Shuffled batches of one random view a row, and all views in row order; nothing is read before they are iterated."""

    def loader(batch_size: int, **order: Any) -> FeatureLoader:
        return FeatureLoader(
            store,
            rows=rows,
            taps=adapter.taps_used,
            batch_size=batch_size,
            device=device,
            dtype=store.value_dtype,
            **order,
        )

    return loader(batch_size, seed=seed, resident="auto"), EveryView(loader(_ROWS, shuffle=False, views="all"))
