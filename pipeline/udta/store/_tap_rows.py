"""Rows of one tap by number: mapped where the bytes are plain, through the library's own read path elsewhere."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from udta.fingerprint import TapSpec
from udta.store._dtypes import stored_dtype
from udta.store._engine import Engine
from udta.store._layout import Layout
from udta.store._mapped_rows import Extent, MappedRows
from udta.store._record import Record

# Linux allows 65,530 mappings a process (vm.max_map_count); one store takes half of them at most.
MOST_MAPPINGS = 32_000
# Decoded chunks of one tap that are kept when chunks cannot be mapped: a batch of shuffled rows wants nearly every chunk again.
_CACHE_BYTES = 256 * 2**20


class TapRows:
    """`take` copies any rows of one tap out of any committed blocks.

    A *slot* is one view of one block, `block * n_views + view`. Nothing is opened before the first `take`.
    """

    def __init__(self, engine: Engine, layout: Layout, records: Mapping[int, Record], tap: TapSpec) -> None:
        self._engine, self._layout, self._records, self._tap = engine, layout, records, tap
        self._lock = threading.RLock()
        self._mapped: MappedRows | None = None
        self._opened = False
        self._extents: dict[int, Extent] | None = None
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self.cached_bytes = 0

    @property
    def dtype(self) -> np.dtype:
        """Of the values as they lie in the store: uint16 for bfloat16."""
        return stored_dtype(self._tap.dtype)

    def take(self, slots: np.ndarray, local: np.ndarray, out: np.ndarray) -> None:
        """Copy row `local[i]` of slot `slots[i]` to `out[i]`, in the stored dtype; the caller has checked that they exist.

        Raises:
            StoreReplacedError: the store is not there any more, and these rows were not opened before.
            CorruptStoreError: a chunk is missing, too short or cannot be decoded.
        """
        mapped = self.open()
        if mapped is not None:
            mapped.take(slots, local, out)
            return
        # Chunk by chunk, in the order of slots: each is decoded once for all rows that are wanted of it.
        order = np.argsort(slots, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(slots[order])) + 1):
            if len(group):
                out[group] = self._chunk(int(slots[group[0]]))[local[group]]

    def extents(self) -> dict[int, Extent] | None:
        """Where the bytes of every slot lie; None when they are not plain rows in local files."""
        with self._lock:
            if self._extents is None:
                self._extents = self._find_extents()
        return self._extents or None

    def _find_extents(self) -> dict[int, Extent]:
        """Empty when there are none to be had, so that None can stand for not having looked."""
        found = {}
        for block, record in self._records.items():
            extents = self._engine.extents(self._layout, record)
            if extents is None:
                return {}
            for view in range(self._layout.n_views):
                found[block * self._layout.n_views + view] = extents[self._tap.name, view]
        return found

    def reserve(self) -> MappedRows | None:
        """A mapping of all slots of which none is mapped yet; None where the bytes are not plain rows that can be mapped."""
        extents = self.extents()
        # mmap(2) takes offsets of whole pages; a store of our own has them, one that was written again by another tool may not.
        if extents is None or not all(MappedRows.can_map(extent) for extent in extents.values()):
            return None
        largest = max(extents.values(), key=lambda extent: extent.rows)
        # Before addresses are reserved for as much.
        MappedRows.check_size(self._engine.directory, largest, self._tap.shape, self.dtype)
        return MappedRows(self._engine.directory, extents, self._n_slots, self._tap.shape, self.dtype)

    @property
    def _n_slots(self) -> int:
        return self._layout.n_blocks * self._layout.n_views

    def open(self) -> MappedRows | None:
        """Have all files opened, once; None where they are read chunk by chunk. Raises `CorruptStoreError`."""
        if self._opened:  # without the lock, which every batch of every reading thread would wait for
            return self._mapped
        with self._lock:
            if not self._opened:
                # All taps together: each has mappings of its own, and the limit is one of the process.
                few = self._n_slots * len(self._layout.taps) <= MOST_MAPPINGS
                mapped = self.reserve() if few else None
                if mapped is not None:
                    for slot in self.extents() or ():
                        mapped.map(slot)
                self._mapped, self._opened = mapped, True
        return self._mapped

    def _chunk(self, slot: int) -> np.ndarray:
        with self._lock:
            if slot in self._cache:
                self._cache.move_to_end(slot)
                return self._cache[slot]
        block, view = divmod(slot, self._layout.n_views)
        # Outside of the lock: several threads decode at a time, and at worst one chunk twice.
        values = self._engine.chunk(self._layout, self._records[block], self._tap.name, view)
        with self._lock:
            if slot not in self._cache:  # another thread may have missed it at the same time
                self._cache[slot] = values
                self.cached_bytes += values.nbytes
            while self.cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
                self.cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return values
