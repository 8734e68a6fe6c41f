"""Reading the samples of an epoch by the number they have in it: from mapped files, from windows, or from a device's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from udta.loader._batch import Batch
from udta.loader._order import Epoch
from udta.loader._windows import Windows
from udta.store import Store, as_tensor


class Source(Protocol):
    """Copies samples `start` to `stop` of an epoch, `[samples * views, ...]`, as stored."""

    def prepare(self, start: int, stop: int, readers: Sequence[Future[Batch]]) -> None:
        """Called in order before a batch is read; `readers` are the batches that may still be being read."""

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """Called from threads; `out` is by tap."""

    def close(self) -> None:
        """No more batches are asked for."""


class MappedSource:
    """Everything may be in memory: rows come straight from the files that the kernel caches."""

    def __init__(self, store: Store, epoch: Epoch) -> None:
        self._store, self._epoch = store, epoch

    def prepare(self, start: int, stop: int, readers: Sequence[Future[Batch]]) -> None:
        """Nothing to do."""

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """See `Source`."""
        places = self._store.layout.slots(*self._epoch.pairs(slice(start, stop)))
        for tap, values in out.items():
            self._store.rows_of(tap).take(*places, values)

    def close(self) -> None:
        """Nothing to do."""


class WindowedSource:
    """Two windows in memory: one that batches are taken from, and the next one, which is being read."""

    def __init__(self, store: Store, taps: Sequence[str], epoch: Epoch, first: int) -> None:
        self._store, self._epoch, self._bounds = store, epoch, epoch.windows
        self._windows = Windows(store, taps)
        self._loads: dict[int, Future[None]] = {}
        self._loaded: set[int] = set()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="udta-window")
        self._files: Executor = ThreadPoolExecutor(4, thread_name_prefix="udta-files")
        self._ask(self._window_of(first), [])

    def close(self) -> None:
        """Wait for the read that is under way."""
        self._loader.shutdown(cancel_futures=True)
        self._files.shutdown()

    def prepare(self, start: int, stop: int, readers: Sequence[Future[Batch]]) -> None:
        """See `Source`: asks for the windows of this batch, and for the one after them once their memory is free."""
        for window in range(self._window_of(start), self._window_of(stop - 1) + 1):
            self._ask(window, readers)
        current = self._window_of(start)
        if current == self._window_of(stop - 1):
            self._ask(current + 1, readers)

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """See `Source`; a batch may lie in two windows."""
        for window in range(self._window_of(start), self._window_of(stop - 1) + 1):
            self._loads[window].result()
        places = self._store.layout.slots(*self._epoch.pairs(slice(start, stop)))
        for tap, values in out.items():
            self._windows.take(tap, *places, values)

    def _window_of(self, position: int) -> int:
        return int(np.searchsorted(self._bounds, position, side="right")) - 1

    def _window(self, window: int) -> slice:
        return slice(self._bounds[window], self._bounds[window + 1])

    def _ask(self, window: int, readers: Sequence[Future[Batch]]) -> None:
        """Read a window, after the batches being read are done and all windows but the last one are given back."""
        if window in self._loads or window >= len(self._bounds) - 1:
            return
        busy = list(readers)

        def load() -> None:
            while busy:  # and let go of their batches, whose memory is wanted
                busy.pop().exception()
            for done in [loaded for loaded in self._loaded if loaded < window - 1]:
                self._windows.release(*self._epoch.pairs(self._window(done)))
                self._loaded.remove(done)
            self._windows.load(*self._epoch.pairs(self._window(window)), self._files)
            self._loaded.add(window)

        self._loads[window] = self._loader.submit(load)


class Resident:
    """All samples of a selection in the memory of a device, where batches are picked from without the CPU.

    `values` are `[rows, views, ...]` by name, in the order of `rows` and `views`.
    """

    def __init__(
        self, store: Store, rows: np.ndarray, views: Sequence[int], device: torch.device, values: Mapping[str, Tensor]
    ) -> None:
        self._device, self._labels, self._values = device, store.labels, values
        self._position = np.full(len(store), -1)
        self._position[rows] = np.arange(len(rows))
        self._column = np.full(store.n_views, -1)
        self._column[list(views)] = np.arange(len(views))

    def order(self, epoch: Epoch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """An epoch on the device, so that no batch waits for a copy: rows, labels, and what `take` wants of both."""
        parts = (epoch.rows, self._labels[epoch.rows], self._position[epoch.rows], self._column[epoch.views])
        rows, labels, samples, columns = (torch.from_numpy(part.copy()).to(self._device) for part in parts)
        return rows, labels, samples, columns

    def take(self, samples: Tensor, columns: Tensor) -> dict[str, Tensor]:
        """`[samples, views, ...]` by name, given `[samples]` and `[samples, views]` of `order`."""
        return {name: values[samples[:, None], columns] for name, values in self._values.items()}


def load_taps(
    store: Store, rows: np.ndarray, views: Sequence[int], device: torch.device, dtypes: Mapping[str, str]
) -> dict[str, Tensor]:
    """Everything that `Resident` wants of the taps that have a dtype, `[rows, views, ...]`."""
    return {tap: _load(store, tap, rows, views, device, dtype) for tap, dtype in dtypes.items()}


def _load(store: Store, tap: str, rows: np.ndarray, views: Sequence[int], device: torch.device, dtype: str) -> Tensor:
    shape = (len(rows), len(views), *store.taps[tap].shape)
    whole = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
    step = max(1, store.layout.block_rows // len(views))
    for start in range(0, len(rows), step):
        values = store.read(rows[start : start + step], [tap], views, dtype=dtype)[tap]
        whole[start : start + step] = as_tensor(values)
    return whole
