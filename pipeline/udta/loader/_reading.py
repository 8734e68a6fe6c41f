"""From an epoch's order to its batches: rows are copied from where they lie into buffers, converted, and handed over in order.

Two threads do it, a few batches ahead. Worker processes would lose: `DataLoader` workers reach 0.05 of the memory limit where two
threads reach 0.5-0.9 (measured on a warm 1 GB store).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from udta._machine.cores import one_thread_each
from udta.loader._batch import Batch, BufferPool
from udta.loader._order import Epoch
from udta.loader._windows import WindowedSource
from udta.store import Store, as_tensor

_READERS = 2  # one or two that fill buffers which are used again reach 0.5-0.8 of the memory limit
_AHEAD = 6  # batches, so that a step which takes longer now and then keeps nobody waiting


class Source(Protocol):
    """Copies samples `start` to `stop` of an epoch, `[samples * views, ...]`, as stored."""

    def prepare(self, start: int, stop: int, reading: Iterable[Future[Batch]]) -> None:
        """Called in order before a batch is read; `reading` are the batches that may still be being read."""

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """Called from threads; `out` is by tap."""

    def close(self) -> None:
        """No more batches are asked for."""


class MappedSource:
    """Everything may be in memory: rows come straight from the files that the kernel caches."""

    def __init__(self, store: Store, epoch: Epoch) -> None:
        self._store, self._epoch = store, epoch

    def prepare(self, start: int, stop: int, reading: Iterable[Future[Batch]]) -> None:
        """Nothing to do."""

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """Copy samples `start` to `stop`, as stored."""
        slots, local = self._store.layout.slots(*self._epoch.pairs(slice(start, stop)))
        for tap, values in out.items():
            self._store.rows_of(tap).take(slots, local, values)

    def close(self) -> None:
        """Nothing to do."""


class BatchReader:
    """Reads the batches of one epoch.

    Args:
        store: where the rows come from.
        epoch: which rows in which views.
        taps: to read.
        dtype: of the batches, None for the stored one.
        view_axis: whether batches have one; without, every row has one view.
        device: where they are delivered.
    """

    def __init__(
        self,
        store: Store,
        epoch: Epoch,
        taps: Sequence[str],
        dtype: str | None,
        *,
        view_axis: bool,
        device: torch.device,
    ) -> None:
        self._store, self._epoch, self._taps, self._dtype = store, epoch, taps, dtype
        self._view_axis, self._device = view_axis, device
        # Pinned, so that the copy to a GPU runs by itself; what is converted first never goes there and stays in ordinary memory.
        self._pool, self._scratch = BufferPool(pinned=device.type == "cuda"), BufferPool()

    def batches(self, starts: range, batch_size: int) -> Iterator[Batch]:
        """Those that begin at these positions of the epoch, in order."""
        if not len(starts):
            return
        source: Source = (
            WindowedSource(self._store, self._taps, self._epoch, starts[0])
            if len(self._epoch.windows) > 2  # one window is everything
            else MappedSource(self._store, self._epoch)
        )
        # What may still be being read is told to the source; by weak references to what was begun, windows were read at 0.65 of
        # the speed.
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(_READERS, "udta-read", initializer=one_thread_each) as readers:
            try:
                for start in starts:
                    stop = min(start + batch_size, len(self._epoch.rows))
                    source.prepare(start, stop, tuple(ahead))
                    ahead.append(readers.submit(self._read, source, start, stop))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
                source.close()  # before the pool is left, which waits for readers that may wait for a window

    def _read(self, source: Source, start: int, stop: int) -> Batch:
        n_rows, n_views = stop - start, self._epoch.views.shape[1]
        stored = {}
        for tap in self._taps:
            spec = self._store.taps[tap]
            # What is converted is read into memory of its own, and the batch is what it is converted to.
            memory = self._scratch if self._dtype not in (None, spec.dtype) else self._pool
            stored[tap] = memory.get((n_rows * n_views, *spec.shape), self._store.rows_of(tap).dtype)
        source.take(start, stop, stored)
        taps = {}
        for tap, values in stored.items():
            tensor = self._convert(tap, values)
            tensor = tensor.view(n_rows, n_views, *tensor.shape[1:]) if self._view_axis else tensor
            taps[tap] = tensor.to(self._device)
        rows = self._epoch.rows[start:stop]
        labels = torch.from_numpy(self._store.labels[rows]).to(self._device)
        return Batch(taps, labels, torch.from_numpy(rows.copy()).to(self._device))

    def _convert(self, tap: str, values: np.ndarray) -> Tensor:
        quantiser, wanted = self._store.layout.quantisers.get(tap), self._dtype
        if wanted in (None, self._store.taps[tap].dtype):
            return as_tensor(self._store.decode(tap, values))
        out = self._pool.get(values.shape, np.dtype("<f4") if wanted == "float32" else np.dtype("<u2"))
        tensor = torch.from_numpy(out).view(getattr(torch, wanted))
        if quantiser is not None:
            quantiser.decode(values, tensor)
        else:
            tensor.copy_(as_tensor(self._store.decode(tap, values)))
        return tensor
