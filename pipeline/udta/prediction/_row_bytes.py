"""Lines of a table as bytes that can be appended to a file and cut off again, and the table that becomes of such a file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from udta._files.atomic import check_replaceable, new_file
from udta._files.table_file import csv_text, needed_pyarrow
from udta.prediction._table_lines import Kind, Line, as_columns

# Of a row group, which a reader takes at a time, and of which writing holds two in memory: 16 MB of numbers at most.
_GROUP_CELLS, _GROUP_ROWS = 2 << 20, 1 << 15


class RowBytes(ABC):
    """A format; `columns` say what there is in each line."""

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self.columns = dict(columns)

    @property
    def head(self) -> bytes:
        """What comes before the first line."""
        return b""

    @abstractmethod
    def encode(self, lines: Sequence[Line]) -> bytes:
        """Some lines, at least one."""

    @abstractmethod
    def complete(self, rows: Path, target: Path) -> None:
        """Make the table `target` of a file of `head` and lines, which is taken away; whole or not at all."""


class CsvRows(RowBytes):
    """The file is the table."""

    @property
    def head(self) -> bytes:
        """The names of the columns."""
        return csv_text([list(self.columns)]).encode()

    def encode(self, lines: Sequence[Line]) -> bytes:
        """Their text."""
        return csv_text(lines).encode()

    def complete(self, rows: Path, target: Path) -> None:
        """A rename."""
        check_replaceable(target)
        rows.replace(target)


class ParquetRows(RowBytes):
    """Messages of Arrow's stream format, of which row groups are made at the end: a Parquet file says in its last bytes where all
    of them are, so that none can be continued.
    """

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        super().__init__(columns)
        self._arrow: Any = needed_pyarrow()
        types = {"text": "string", "double": "float64", "float": "float32", "whole": "int64"}
        self._schema = self._arrow.schema(
            [(name, getattr(self._arrow, types[kind])()) for name, kind in columns.items()]
        )

    def encode(self, lines: Sequence[Line]) -> bytes:
        """One message."""
        batch = self._arrow.RecordBatch.from_pydict(as_columns(self.columns, lines), schema=self._schema)
        message: bytes = batch.serialize().to_pybytes()
        return message

    def complete(self, rows: Path, target: Path) -> None:
        """Row group after row group, each of the same number of rows: how often the work was interrupted leaves no mark."""
        arrow, size = self._arrow, max(1, min(_GROUP_ROWS, _GROUP_CELLS // len(self.columns)))
        with (
            new_file(target) as file,
            arrow.parquet.ParquetWriter(file, self._schema) as writer,
            rows.open("rb") as source,
        ):
            gathered = self._schema.empty_table()
            end = os.fstat(source.fileno()).st_size
            while source.tell() < end:
                batch = arrow.ipc.read_record_batch(arrow.ipc.read_message(source), self._schema)
                gathered = arrow.concat_tables([gathered, arrow.Table.from_batches([batch])])
                if len(gathered) >= size:
                    writer.write_table(gathered.slice(0, size).combine_chunks())
                    gathered = gathered.slice(size)
            if len(gathered):
                writer.write_table(gathered.combine_chunks())
        rows.unlink()


def row_bytes(target: Path, columns: Mapping[str, Kind]) -> RowBytes:
    """The format that the name of a table asks for. Raises `ConfigError`: pyarrow is wanted and not installed."""
    return (CsvRows if target.suffix == ".csv" else ParquetRows)(columns)
