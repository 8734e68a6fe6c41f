"""The ledger: a block counts only once its record exists, and the record is written last, atomically.

Neither Zarr nor HDF5 can say that a chunk was never written: both read it as the fill value. So every committed block has one
small JSON object that names its rows, the identity of every sample in it and a CRC-32C for each tap and view. The object is
written to a temporary name, flushed and renamed, which on an object store is one put. What no record covers does not exist.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from udta.errors import CorruptStoreError
from udta.files import write_bytes

PARTIAL = ".partial"


@dataclass(frozen=True)
class Record:
    """One committed block: rows `start` to `stop` (excluded).

    `samples` is (id, SHA-256 of the file's bytes) row by row; `checksums` has for each tap one CRC-32C per view over the
    C-order bytes of the block's rows; `skipped` maps rows whose image could not be used to the reason.
    """

    block: int
    start: int
    stop: int
    samples: tuple[tuple[str, str], ...]
    checksums: Mapping[str, tuple[str, ...]]
    skipped: Mapping[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; the inverse of `from_json`."""
        return {
            "block": self.block,
            "rows": [self.start, self.stop],
            "samples": [list(sample) for sample in self.samples],
            "checksums": {tap: list(values) for tap, values in self.checksums.items()},
            "skipped": {str(row): reason for row, reason in self.skipped.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Record:
        """Raises `KeyError`, `TypeError` or `ValueError` when the document is not a record."""
        start, stop = document["rows"]
        return cls(
            block=int(document["block"]),
            start=int(start),
            stop=int(stop),
            samples=tuple((str(name), str(content)) for name, content in document["samples"]),
            checksums={str(tap): tuple(values) for tap, values in document["checksums"].items()},
            skipped={int(row): str(reason) for row, reason in document["skipped"].items()},
        )


class Ledger:
    """The records under one directory, one object a block, each `<block>/zarr.json`: a Zarr group whose attributes are it.

    Being Zarr groups they travel with any tool that copies a Zarr hierarchy, and listing the store warns of no foreign file.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, block: int) -> Path:
        """Where the record of a block lies."""
        return self.directory / f"{block:06d}" / "zarr.json"

    def create(self) -> None:
        """An empty ledger; the directory must not exist."""
        self.directory.mkdir()
        write_bytes(self.directory / "zarr.json", _group_document({}))

    def put(self, record: Record) -> None:
        """Commit a block: from here on its rows exist."""
        path = self.path(record.block)
        path.parent.mkdir(exist_ok=True)
        write_bytes(path, _group_document(record.to_json()))

    def drop(self, block: int) -> None:
        """Take a block's rows back; they read as uncommitted at once."""
        self.path(block).unlink(missing_ok=True)

    def records(self) -> Iterator[Record]:
        """Every record, by block. Raises `CorruptStoreError` for one that cannot be understood."""
        for path in sorted(self.directory.glob("*/zarr.json")):
            yield self._read(path)

    def sweep(self) -> None:
        """Remove what an interrupted commit left: temporaries, and directories without a record."""
        for path in self.directory.glob("*/"):
            if not (path / "zarr.json").exists():
                shutil.rmtree(path)
        for leftover in self.directory.rglob(f"*{PARTIAL}"):
            leftover.unlink()

    def _read(self, path: Path) -> Record:
        try:
            record = Record.from_json(json.loads(path.read_bytes())["attributes"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptStoreError(
                f"{path}: this ledger record cannot be read ({error}); delete the file and extract again to recompute its block"
            ) from error
        if self.path(record.block) != path:
            raise CorruptStoreError(
                f"{path}: this ledger record is that of block {record.block}; delete it and extract again"
            )
        return record


def checksum(values: np.ndarray) -> str:
    """CRC-32C of an array's C-order bytes, as 8 hexadecimal digits."""
    # A uint8 view is hashed in place at 16.6 GB/s; `tobytes()` would copy first (1.8 GB/s).
    return f"{google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8)):08x}"


def _group_document(attributes: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {"zarr_format": 3, "node_type": "group", "attributes": attributes}, separators=(",", ":")
    ).encode()
