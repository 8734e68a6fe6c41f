"""What is trained on: an adapter of a store's shape, batches for gradient steps, and every view of every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta._console.progress import announce
from udta._machine.cores import side_by_side
from udta._machine.device import own_randomness
from udta._machine.memory import fits_on
from udta.adapters import Adapter, PooledAdapter, Recipe, Samples, find_adapter
from udta.errors import ConfigError, FeatureError
from udta.loader import Batch, FeatureLoader
from udta.store import Store

VECTORS = "vectors"  # what a loader calls pooled vectors that it holds
# Samples of a batch of every view: the matrices of so many stay in the caches (pooling 3,600 views of `udta` on two cores takes
# 2.0 s of processor time at 128, 3.2 s at 512, 2.9 s at 16).
_SAMPLES = 128
_READ = "views read"


def build(adapter: str, store: Store, options: Mapping[str, Any], seed: int) -> Adapter:
    """A new adapter for the taps, classes and task of a store; its initial weights depend on `seed` alone."""
    if "task" in options:
        raise ConfigError(f"adapter {adapter!r}: task is no option of it: it is that of the labels, see --task")
    # Its own state, given back afterwards: how much the caller drew before makes no difference.
    with own_randomness(seed):
        shapes = {tap.name: tap.shape for tap in store.taps.values()}
        return find_adapter(adapter)(shapes, len(store.classes), task=store.task, **options)


@dataclass(frozen=True)
class Training:
    """One training, all that its result depends on but the machine: an adapter, the rows of a store it learns from, and how."""

    adapter: Adapter
    store: Store
    rows: Int64[np.ndarray, " rows"]
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class EveryView:
    """Every cached view of every row of `loader` exactly once, each a sample of its own."""

    loader: FeatureLoader

    def __len__(self) -> int:
        """Samples."""
        return len(self.loader.rows) * self.loader.store.n_views

    def __iter__(self) -> Iterator[Batch]:
        done = 0
        try:
            for batch in self.loader:
                yield batch.flat()
                done += len(batch) * self.loader.store.n_views
                announce(_READ, done, len(self))
        finally:
            if done < len(self):  # they are too many, as it turned out
                announce(_READ, len(self), len(self))


def training_sources(
    adapter: Adapter, store: Store, rows: np.ndarray, recipe: Recipe, seed: int, device: str | torch.device
) -> tuple[FeatureLoader, EveryView]:
    """Shuffled batches of one random view a row, as the recipe wants them, and all views in row order.

    Nothing is read before they are iterated.
    """

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

    # Gradient steps read the same features every epoch, so a GPU may keep them; every view is read three times at the most.
    return loader(recipe.batch_size, seed=seed, resident="auto", sampling=recipe.sampling), EveryView(
        loader(max(1, _SAMPLES // store.n_views), shuffle=False, views="all")
    )


@torch.no_grad()
def pool_views(
    adapter: PooledAdapter, every_view: EveryView, budget: int
) -> Float[Tensor, "rows views features"] | None:
    """What the adapter reads of every view of every row, computed once for all epochs.

    Args:
        adapter: on the device of `every_view`; solved, where it is solved.
        every_view: the samples.
        budget: bytes that the vectors may take on a CPU; on a GPU it is half of what is free.

    Returns:
        float32 on the device, or None where the vectors do not fit: then they are computed anew for every batch.
    """
    loader, done, vectors = every_view.loader, 0, None

    def pool(batch: Batch) -> Tensor:
        return adapter.pool({tap: batch.taps[tap].float() for tap in adapter.taps_used})

    for pooled in side_by_side(pool, every_view, loader.device):
        if vectors is None:  # how long a vector is, the first batch shows
            n_bytes = len(every_view) * pooled[0].nbytes
            if not (fits_on(loader.device, n_bytes) if loader.device.type == "cuda" else n_bytes <= budget):
                return None
            vectors = pooled.new_empty(len(every_view), pooled.shape[1])
        # In row order, whoever was done first: `side_by_side` yields them so.
        vectors[done : done + len(pooled)] = pooled
        done += len(pooled)
    return None if vectors is None else vectors.view(len(loader.rows), -1, vectors.shape[1])


def check_features(adapter: Adapter, every_view: Iterable[Samples]) -> None:
    """Raises `FeatureError` with the first image whose features are not finite: then it is no fault of the training."""
    for batch in every_view:
        for tap in adapter.taps_used:
            # Of any dtype: float16 has infinities of its own, and what is not finite stays so as float32.
            bad = ~torch.isfinite(batch.taps[tap].flatten(1).float()).all(dim=1)
            if bad.any():
                row = int(batch.rows[bad][0])
                store = every_view.loader.store if isinstance(every_view, EveryView) else None
                name = f"row {row}" if store is None else f"{str(store.ids[row])!r} in {store.path}"
                raise FeatureError(
                    f"the features of {name} are not finite (tap {tap!r}), so nothing can be trained on them: `udta verify` says"
                    " whether the store is whole; extract the image again, or leave it out"
                )
