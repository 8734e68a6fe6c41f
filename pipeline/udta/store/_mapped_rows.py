"""All rows of a tap in one range of addresses, however many files they lie in.

A chunk without compression is plain rows in C order at a known offset of a file. Every such chunk is mapped into one reserved
range, at distances that are a whole number of rows, so that row r of chunk c is element `c * stride + r` of a single array and
one `np.take` gathers any rows of any chunks: 0.9-1.0 of a gather from one big `np.memmap`, where one indexing operation for each
chunk reached 0.4 (warm 1 GB store, batches of 128). The range costs address space alone, never memory.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udta.store._directory import Directory

# Of mmap(2) and madvise(2). Not by Python's `mmap`, which can neither reserve addresses nor map at a given one.
_PROT_NONE, _PROT_READ = 0, 1
_MAP_SHARED, _MAP_PRIVATE, _MAP_FIXED = 0x01, 0x02, 0x10
_MAP_ANONYMOUS = 0x1000 if sys.platform == "darwin" else 0x20
_MAP_NORESERVE = 0x40 if sys.platform == "darwin" else 0x4000
_NOTHING = _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE
_MADV_WILLNEED, _MADV_POPULATE_READ = 3, 22
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


@dataclass(frozen=True)
class Extent:
    """Where the rows of one view of one block lie: `rows` of them in C order from `offset` of a file."""

    path: Path
    offset: int
    rows: int


class MappedRows:
    """Rows of one tap from many files, as one array.

    Args:
        directory: of the store; it tells damage from a file of another store.
        extents: the chunks by slot number.
        n_slots: how many slots there are.
        shape: of one row.
        dtype: as stored.

    A slot is readable between `map` and `unmap`; reading another one kills the process.
    """

    def __init__(
        self,
        directory: Directory,
        extents: Mapping[int, Extent],
        n_slots: int,
        shape: tuple[int, ...],
        dtype: np.dtype,
    ) -> None:
        self._directory, self._extents = directory, extents
        self._row_bytes = math.prod(shape) * dtype.itemsize
        # A whole number of pages, because files are mapped there, and of rows, so that all slots are one array.
        most = max((extent.rows for extent in extents.values()), default=1)
        unit = math.lcm(mmap.ALLOCATIONGRANULARITY, self._row_bytes)
        self._slot_bytes = unit * -(-most * self._row_bytes // unit)
        self._stride = self._slot_bytes // self._row_bytes
        size = max(n_slots, 1) * self._slot_bytes
        # Reserved by a mapping that can be neither read nor written and takes no memory (`MAP_NORESERVE`).
        self._base = _map(None, size, _PROT_NONE, _NOTHING, -1, 0)
        # Not at interpreter exit: a reading thread may still be in there, and the kernel unmaps everything anyway.
        weakref.finalize(self, _libc.munmap, self._base, size).atexit = False
        memory: Any = (ctypes.c_char * size).from_address(self._base)
        # An array over all of it, most of which would kill the process (SIGSEGV) if it were touched: see `map`.
        self._rows = np.frombuffer(memory, dtype=dtype).reshape(-1, *shape)

    def map(self, slot: int) -> None:
        """Make a slot readable.

        Raises:
            StoreReplacedError: it is the file of a store that is not there any more.
            CorruptStoreError: its file is missing or too short.
        """
        extent = self._extents[slot]
        length = extent.rows * self._row_bytes
        try:
            descriptor = os.open(extent.path, os.O_RDONLY)
        except FileNotFoundError:
            raise self._directory.damage(extent.path, "is missing") from None
        try:
            self._directory.confirm()
            # Reading mapped memory behind the end of a file would kill the process (SIGBUS), so its size is checked before.
            if os.fstat(descriptor).st_size < extent.offset + length:
                raise self._directory.damage(extent.path, "is too short")
            _map(self._address(slot), length, _PROT_READ, _MAP_SHARED | _MAP_FIXED, descriptor, extent.offset)
        finally:
            os.close(descriptor)  # the mapping holds the file, whatever becomes of its name

    def unmap(self, slot: int) -> None:
        """Give the slot's memory back; its file stays in the kernel's cache."""
        # By reserving it again and not by munmap(2): a hole could be given to whatever is mapped next in this process.
        _map(self._address(slot), self._slot_bytes, _PROT_NONE, _NOTHING | _MAP_FIXED, -1, 0)

    def populate(self, slot: int, start: int, stop: int) -> None:
        """Have rows `start` to `stop` of a mapped slot read from the disk now, in one go; the GIL is free meanwhile."""
        page = mmap.ALLOCATIONGRANULARITY
        first = (self._address(slot) + start * self._row_bytes) // page * page
        length = self._address(slot) + stop * self._row_bytes - first
        # MADV_POPULATE_READ is of Linux 5.14. Before: ask for it, and wait at the first touch.
        if _libc.madvise(first, length, _MADV_POPULATE_READ):
            _libc.madvise(first, length, _MADV_WILLNEED)

    def take(self, slots: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Copy row `rows[i]` of slot `slots[i]` to `out[i]`; the GIL is free meanwhile."""
        # With the default mode NumPy would gather into a temporary first, for the case of an index error.
        np.take(self._rows, slots * self._stride + rows, axis=0, out=out, mode="clip")

    def _address(self, slot: int) -> int:
        return self._base + slot * self._slot_bytes

    @staticmethod
    def check_size(directory: Directory, extent: Extent, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Raises as `map` does where the file of an extent is smaller than its rows; one that is missing is found later."""
        needed = extent.offset + extent.rows * math.prod(shape) * dtype.itemsize
        if extent.path.exists() and extent.path.stat().st_size < needed:
            raise directory.damage(extent.path, "is too short")

    @staticmethod
    def can_map(extent: Extent) -> bool:
        """Whether the kernel can map a file from this offset."""
        return extent.offset % mmap.ALLOCATIONGRANULARITY == 0


def _map(address: int | None, length: int, protection: int, flags: int, descriptor: int, offset: int) -> int:
    result = _libc.mmap(address, length, protection, flags, descriptor, offset)
    if result == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (mapping {length} bytes)")
    return int(result)
