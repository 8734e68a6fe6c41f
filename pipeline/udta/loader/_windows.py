"""Windows of a store that does not fit into memory: some blocks are read in the order of the disk, then used in any order.

The rows of a window are mapped and read in one go; batches are gathered straight from there, and when they are done the mapping
is taken away, so that what is in memory is two windows however large the store is. Copying a window into memory of our own first
would halve the speed (0.37 instead of 0.8 of the memory limit).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from udta.loader._batch import Batch
from udta.loader._order import Epoch
from udta.store import MappedRows, Store

_PARTS = 4  # pieces that a tap's share of a window is read in, side by side


class WindowedSource:
    """Two windows in memory: one that batches are taken from, and the next one, which is being read."""

    def __init__(self, store: Store, taps: Sequence[str], epoch: Epoch, first: int) -> None:
        self._store, self._epoch, self._bounds = store, epoch, epoch.windows
        self._windows = Windows(store, taps)
        self._loads: dict[int, Future[None]] = {}
        self._loaded: set[int] = set()
        # One thread that gives windows back and asks for the next, in order; the files are read by others under it.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="udta-window")
        self._files: Executor = ThreadPoolExecutor(4, thread_name_prefix="udta-files")
        self._ask(self._window_of(first), [])

    def close(self) -> None:
        """Wait for the read that is under way."""
        self._reader.shutdown(cancel_futures=True)
        self._files.shutdown()

    def prepare(self, start: int, stop: int, reading: Iterable[Future[Batch]]) -> None:
        """Ask for the windows of a batch, and for the one after them once the batches that are `reading` let go of its memory."""
        for window in range(self._window_of(start), self._window_of(stop - 1) + 1):
            self._ask(window, reading)
        current = self._window_of(start)
        # Not from a batch that lies in two windows: a third one would be in memory then.
        if current == self._window_of(stop - 1):
            self._ask(current + 1, reading)

    def take(self, start: int, stop: int, out: Mapping[str, np.ndarray]) -> None:
        """Copy samples `start` to `stop` once their windows are read; a batch may lie in two."""
        for window in range(self._window_of(start), self._window_of(stop - 1) + 1):
            self._loads[window].result()
        slots, local = self._store.layout.slots(*self._epoch.pairs(slice(start, stop)))
        for tap, values in out.items():
            self._windows.take(tap, slots, local, values)

    def _window_of(self, position: int) -> int:
        return int(np.searchsorted(self._bounds, position, side="right")) - 1

    def _window(self, window: int) -> slice:
        return slice(self._bounds[window], self._bounds[window + 1])

    def _ask(self, window: int, reading: Iterable[Future[Batch]]) -> None:
        """Read a window, after the batches being read are done and all windows but the last one are given back."""
        if window in self._loads or window >= len(self._bounds) - 1:
            return
        busy = list(reading)

        def load() -> None:
            # Two windows in memory: this one waits until nobody reads the one before the last, and then takes its memory.
            while busy:  # and let go of their batches, whose memory is wanted
                busy.pop().exception()
            for done in [loaded for loaded in self._loaded if loaded < window - 1]:
                self._windows.release(*self._epoch.pairs(self._window(done)))
                self._loaded.remove(done)
            # Counted as loaded only once it is: what `take` reads without being mapped would kill the process.
            self._windows.load(*self._epoch.pairs(self._window(window)), self._files)
            self._loaded.add(window)

        self._loads[window] = self._reader.submit(load)


class Windows:
    """The mapped part of a store: `load` adds the (row, view) pairs of a window, `release` takes them away."""

    def __init__(self, store: Store, taps: Sequence[str]) -> None:
        self._store, self._taps = store, taps
        self._mapped = {tap: store.rows_of(tap).reserve() for tap in taps}
        self._used: Counter[int] = Counter()  # a block may lie in two windows

    def load(self, rows: np.ndarray, views: np.ndarray, pool: Executor) -> None:
        """Map the chunks of these pairs and read their rows in the order of the disk.

        Raises:
            StoreReplacedError, CorruptStoreError: a file is missing or too short; none of the window counts as loaded then.
        """
        slots, local = self._store.layout.slots(rows, views)
        order = np.lexsort((local, slots))
        slots, local = slots[order], local[order]
        # Runs of neighbouring rows, in the order of the disk: few calls of madvise(2), and no seek back.
        breaks = np.flatnonzero((np.diff(slots) != 0) | (np.diff(local) != 1)) + 1
        starts, stops = np.concatenate([[0], breaks]), np.append(breaks, len(slots))
        fresh = [slot for slot in np.unique(slots).tolist() if not self._used[slot]]
        self._map(fresh)
        self._used.update(np.unique(slots).tolist())
        tasks = []
        for mapped in self._mapped.values():
            if mapped is not None:
                runs = [
                    (int(slots[start]), int(local[start]), int(local[stop - 1]) + 1)
                    for start, stop in zip(starts, stops, strict=True)
                ]
                cuts = [part * len(runs) // _PARTS for part in range(_PARTS + 1)]
                tasks += [pool.submit(_populate, mapped, runs[cut:stop]) for cut, stop in pairwise(cuts)]
        for task in tasks:  # an error of any of them is one of the window
            task.result()

    def _map(self, slots: Sequence[int]) -> None:
        """All of them or none: what counts as used is read without a check, and would kill the process where it is not mapped."""
        try:
            for slot in slots:
                for mapped in self._mapped.values():
                    if mapped is not None:
                        mapped.map(slot)
        except BaseException:
            self._unmap(slots)
            raise

    def _unmap(self, slots: Sequence[int]) -> None:
        for slot in slots:
            for mapped in self._mapped.values():
                if mapped is not None:
                    mapped.unmap(slot)

    def release(self, rows: np.ndarray, views: np.ndarray) -> None:
        """Forget the pairs of an earlier `load`."""
        slots, _ = self._store.layout.slots(rows, views)
        for slot in np.unique(slots).tolist():
            self._used[slot] -= 1
            if not self._used[slot]:
                self._unmap([slot])

    def take(self, tap: str, slots: np.ndarray, local: np.ndarray, out: np.ndarray) -> None:
        """Copy loaded pairs to `out`."""
        source = self._mapped[tap] or self._store.rows_of(tap)
        source.take(slots, local, out)


def _populate(mapped: MappedRows, runs: Sequence[tuple[int, int, int]]) -> None:
    for slot, start, stop in runs:
        mapped.populate(slot, start, stop)
