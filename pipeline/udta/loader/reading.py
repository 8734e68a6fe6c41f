"""Reading the samples of an epoch by the number they have in it: from mapped files, from windows, or from a device's memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from udta.loader.batch import Batch
from udta.loader.order import Epoch
from udta.loader.window import Window
from udta.store import Store, as_tensor


class Source(Protocol):
    """Copies samples `start` to `stop` of an epoch, `[samples * views, ...]`, as stored."""

    def prepare(self, start: int, stop: int, readers: Sequence[Future[Batch]]) -> None:
        """Called in order before a batch is read; `readers` are the batches that may still be being read."""

    def take(self, tap: str, start: int, stop: int, out: np.ndarray) -> None:
        """Called from threads."""


class MappedSource:
    """Everything may be in memory: rows come straight from the files that the kernel caches."""

    def __init__(self, store: Store, epoch: Epoch) -> None:
        self._store, self._epoch = store, epoch
        self._n_views = epoch.views.shape[1]

    def prepare(self, start: int, stop: int, readers: Sequence[Future[Batch]]) -> None:
        """Nothing to do."""

    def take(self, tap: str, start: int, stop: int, out: np.ndarray) -> None:
        """See `Source`."""
        rows = np.repeat(self._epoch.rows[start:stop], self._n_views)
        self._store.take(tap, rows, self._epoch.views[start:stop].reshape(-1), out)


class WindowedSource:
    """Two windows in memory: one that batches are taken from, and the next one, which is being read."""

    def __init__(self, store: Store, taps: Sequence[str], epoch: Epoch, first: int) -> None:
        self._epoch, self._bounds = epoch, epoch.windows
        self._n_views = epoch.views.shape[1]
        most = max(stop - start for start, stop in pairwise(self._bounds)) * self._n_views
        self._windows = [
            Window(
                store, taps, {tap: np.empty((most, *store.taps[tap].shape), store.rows_of(tap).dtype) for tap in taps}
            )
            for _ in range(2)
        ]
        self._loads: dict[int, Future[None]] = {}
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

    def take(self, tap: str, start: int, stop: int, out: np.ndarray) -> None:
        """See `Source`; a batch may lie in two windows."""
        position = start
        while position < stop:
            window = self._window_of(position)
            end = min(stop, self._bounds[window + 1])
            self._loads[window].result()
            pairs = np.arange(position - self._bounds[window], end - self._bounds[window]) * self._n_views
            pairs = (pairs[:, None] + np.arange(self._n_views)).reshape(-1)
            first, last = (position - start) * self._n_views, (end - start) * self._n_views
            self._windows[window % 2].take(tap, pairs, out[first:last])
            position = end

    def _window_of(self, position: int) -> int:
        return int(np.searchsorted(self._bounds, position, side="right")) - 1

    def _ask(self, window: int, readers: Sequence[Future[Batch]]) -> None:
        if window in self._loads or window >= len(self._bounds) - 1:
            return
        busy = list(readers)  # any of them may read the memory that this window takes

        def load() -> None:
            for reader in busy:
                reader.exception()
            part = slice(self._bounds[window], self._bounds[window + 1])
            rows = np.repeat(self._epoch.rows[part], self._n_views)
            self._windows[window % 2].load(rows, self._epoch.views[part].reshape(-1), self._files)

        self._loads[window] = self._loader.submit(load)


class Resident:
    """All samples of a selection in the memory of a device, where batches are picked from without the CPU."""

    def __init__(
        self,
        store: Store,
        taps: Sequence[str],
        rows: np.ndarray,
        views: Sequence[int],
        device: torch.device,
        dtypes: dict[str, str],
    ) -> None:
        self._position = np.full(len(store), -1)
        self._position[rows] = np.arange(len(rows))
        self._column = np.full(store.n_views, -1)
        self._column[list(views)] = np.arange(len(views))
        self._taps = {tap: self._load(store, tap, rows, views, device, dtypes[tap]) for tap in taps}

    def take(self, tap: str, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """`[samples, views, ...]` of rows and their views `[samples, views]`."""
        values = self._taps[tap]
        samples = torch.from_numpy(self._position[rows]).to(values.device)
        return values[samples[:, None], torch.from_numpy(self._column[views]).to(values.device)]

    @staticmethod
    def _load(
        store: Store, tap: str, rows: np.ndarray, views: Sequence[int], device: torch.device, dtype: str
    ) -> Tensor:
        shape = (len(rows), len(views), *store.taps[tap].shape)
        whole = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
        step = max(1, store.layout.block_rows // len(views))
        for start in range(0, len(rows), step):
            values = store.read(rows[start : start + step], [tap], views, dtype=dtype)[tap]
            whole[start : start + step] = as_tensor(values)
        return whole
