"""Windows of a store that does not fit into memory: some blocks are read in the order of the disk, then used in any order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from udta.errors import CorruptStoreError
from udta.store import Store
from udta.store.mapping import Extent

_THREADS = 4


class Window:
    """The features of some (row, view) pairs in memory, in the order of the disk.

    Buffers are given from outside, because the next window but one is read into the same memory.
    """

    def __init__(self, store: Store, taps: Sequence[str], buffers: Mapping[str, np.ndarray]) -> None:
        self._store, self._taps, self._buffers = store, taps, buffers
        self._place = np.empty(0, dtype=np.int64)

    def load(self, rows: np.ndarray, views: np.ndarray, pool: Executor) -> None:
        """Read pair i = (`rows[i]`, `views[i]`) of every tap; runs of neighbouring rows are one read each.

        Raises:
            CorruptStoreError: a file is missing or too short.
        """
        layout = self._store.layout
        slots = (rows // layout.block_rows) * layout.n_views + views
        order = np.lexsort((rows, slots))
        self._place = np.empty(len(order), dtype=np.int64)
        self._place[order] = np.arange(len(order))
        slots, local = slots[order], rows[order] % layout.block_rows
        breaks = np.flatnonzero((np.diff(slots) != 0) | (np.diff(local) != 1)) + 1
        starts = np.concatenate([[0], breaks]).astype(np.int64) if len(order) else breaks
        stops = np.append(breaks, len(order)) if len(order) else breaks
        tasks = []
        for tap in self._taps:
            extents = self._store.rows_of(tap).extents()
            if extents is None:
                self._store.take(tap, rows[order], views[order], self._buffers[tap][: len(order)])
                continue
            tasks += [
                pool.submit(_read_runs, extents, self._buffers[tap], slots, local, starts[part], stops[part])
                for part in np.array_split(np.arange(len(starts)), _THREADS)
            ]
        for task in tasks:
            task.result()

    def take(self, tap: str, pairs: np.ndarray, out: np.ndarray) -> None:
        """Copy pairs by their number in the last `load`."""
        np.take(self._buffers[tap], self._place[pairs], axis=0, out=out, mode="clip")


def _read_runs(
    extents: Mapping[int, Extent],
    buffer: np.ndarray,
    slots: np.ndarray,
    local: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
) -> None:
    """Runs `starts[i]:stops[i]` of sorted pairs, each contiguous in its file, straight to their place in the buffer."""
    memory = buffer.view(np.uint8).reshape(-1).data
    row_bytes = buffer[:1].nbytes
    opened, descriptor = None, -1
    try:
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            extent = extents[int(slots[start])]
            if extent.path != opened:
                if descriptor >= 0:
                    os.close(descriptor)
                    descriptor = -1
                opened, descriptor = extent.path, os.open(extent.path, os.O_RDONLY)
            position = extent.offset + int(local[start]) * row_bytes
            target = memory[start * row_bytes : stop * row_bytes]
            while target:
                count = os.preadv(descriptor, [target], position)
                if count <= 0:
                    raise CorruptStoreError(
                        f"{extent.path}: the chunk of a committed block is too short; `udta verify --repair` drops such blocks"
                    )
                target, position = target[count:], position + count
    except FileNotFoundError as error:
        raise CorruptStoreError(
            f"{error.filename}: the chunk of a committed block is missing; `udta verify --repair` drops such blocks"
        ) from None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
