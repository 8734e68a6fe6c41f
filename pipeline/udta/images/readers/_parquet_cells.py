"""Cells with the bytes of images, out of Parquet files: row groups are read in order, a few rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int64

from udta._files.paths import opened_regular
from udta.errors import DataError, ImageError
from udta.images._contents import Contents

# Rows of a batch, and rows that are kept for those who ask later than others: decoders are as many rows apart as there are
# threads, and a photograph takes a tenth of a megabyte.
_BATCH, _KEPT = 16, 128
# Of a row group that has a whole file's rows, a piece at a time; pyarrow reads it at once without a buffer, or with `pre_buffer`
# (400 MB in one group: 1,090 MB at most instead of 720).
_BUFFER = 2**20


@dataclass(frozen=True, eq=False)
class ParquetCells(Contents):
    """Values of one column of binary type, by row of all files.

    `images` is what was named, from the root; `column` is the path of the values in a file's schema; `groups` are file and number
    of every row group, and `starts` its first row, ending with the number of rows.
    """

    images: str
    column: str
    files: tuple[str, ...]
    groups: tuple[tuple[int, int], ...]
    starts: Int64[np.ndarray, " groups+1"]
    _cursor: _Cursor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cursor", _Cursor(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process goes through the files for itself.
        return ParquetCells, (self.images, self.column, self.files, self.groups, self.starts)

    @property
    def source(self) -> str:
        """What was named."""
        return self.images

    def read(self, row: int, name: str) -> bytes:
        """The cell; raises `DataError` where its file is damaged, since none of the rows behind it can be read either."""
        content = self._cursor.take(row)
        if content is None:
            raise ImageError(name, f"has no bytes in {self.images}")
        return content

    def hashes(self, rows: Sequence[int], names: Sequence[str]) -> list[str | ImageError]:
        """In order, and not in pieces side by side: a row in a row group is found by reading those before it."""
        return [self.hash_or_error(row, name) for row, name in zip(rows, names, strict=True)]

    def group_of(self, row: int) -> int:
        """The number of its row group."""
        return int(np.searchsorted(self.starts, row, side="right")) - 1


class _Cursor:
    """Goes through row groups; what it has passed and nobody has taken yet is kept for a while."""

    def __init__(self, cells: ParquetCells) -> None:
        self._cells, self._lock = cells, threading.Lock()
        self._next = int(cells.starts[-1])  # at the end: any row begins its group
        self._batches: Iterator[list[bytes | None]] = iter(())
        self._passed: dict[int, bytes | None] = {}

    def take(self, row: int) -> bytes | None:
        """The cell of a row, None where there is none; asking twice for it reads its row group again."""
        with self._lock:
            # Far ahead another row group is begun; one that is near is reached through the end of this one, which others want.
            if row not in self._passed and not self._next <= row <= self._next + _KEPT:
                group = self._cells.group_of(row)
                if row < self._next or group != self._cells.group_of(self._next):
                    self._next, self._batches = int(self._cells.starts[group]), self._read(group)
            while row not in self._passed:
                self._advance()
            return self._passed.pop(row)

    def _advance(self) -> None:
        batch = next(self._batches, None)
        if batch is None:
            self._batches = self._read(self._cells.group_of(self._next))
            return
        for value in batch:
            self._passed[self._next] = value
            self._next += 1
        while len(self._passed) > _KEPT:
            del self._passed[next(iter(self._passed))]

    def _read(self, group: int) -> Iterator[list[bytes | None]]:
        """The cells of a row group, `_BATCH` at a time."""
        import pyarrow
        import pyarrow.parquet

        file, number = self._cells.groups[group]
        path, column, n_rows = self._cells.files[file], self._cells.column, 0
        try:
            with ExitStack() as opened:
                table = pyarrow.parquet.ParquetFile(
                    opened.enter_context(opened_regular(path)), buffer_size=_BUFFER, pre_buffer=False
                )
                for batch in table.iter_batches(_BATCH, [number], [column], use_threads=False):
                    values = batch.column(0)
                    n_rows += len(values)
                    # Of a struct, the one field that was asked for.
                    yield (values.flatten()[0] if pyarrow.types.is_struct(values.type) else values).to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{path} cannot be read or is damaged ({error})") from error
        if n_rows != self._cells.starts[group + 1] - self._cells.starts[group]:
            raise DataError(f"{path} is damaged or was changed: its row group {number} has {n_rows:,} rows")
