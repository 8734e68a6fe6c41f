"""Lazy dask arrays over a store, for statistics of the whole of it; training would be ten times slower this way."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from udta.errors import ConfigError

if TYPE_CHECKING:
    from udta.store._reader import Store


def lazy_array(store: Store, tap: str) -> Any:
    """`[rows, views, *tap.shape]` with one chunk a block; see `Store.dask`."""
    try:
        array: Any = import_module("dask.array")
    except ImportError as error:
        raise ConfigError("lazy arrays need dask: pip install 'udta[dask]'") from error
    store.rows()  # all of them are committed, or this says which are not
    [tap] = store.check_taps([tap])
    layout, spec = store.layout, store.taps[tap]
    sizes = tuple(stop - start for start, stop in map(layout.block_range, range(layout.n_blocks)))
    # bfloat16 is a type of `ml_dtypes`, which dask's functions do not know.
    dtype = np.dtype(store.value_dtype or spec.dtype if spec.dtype != "bfloat16" else "float32")

    def load(block: np.ndarray) -> np.ndarray:
        return _load(store, tap, int(block[0]), dtype)

    # From the numbers of blocks, which cost nothing to send, so that a graph holds no features and workers open the store.
    numbers = array.arange(layout.n_blocks, chunks=1)
    return array.map_blocks(
        load,
        numbers,
        dtype=dtype,
        new_axis=list(range(1, 2 + len(spec.shape))),
        chunks=(sizes, (layout.n_views,), *((size,) for size in spec.shape)),
        # Given, or dask would call `load` with an empty array to find out.
        meta=np.empty((0,) * (2 + len(spec.shape)), dtype),
    )


def _load(store: Store, tap: str, block: int, dtype: np.dtype) -> np.ndarray:
    start, stop = store.layout.block_range(block)
    # NaN where an image was skipped, as for every reader; `read` refuses such rows.
    rows = np.array([row for row in range(start, stop) if row not in store.skipped], dtype=np.int64)
    values = np.full((stop - start, store.n_views, *store.taps[tap].shape), np.nan, dtype=dtype)
    values[rows - start] = store.read(rows, [tap], dtype=dtype)[tap]
    return values
