"""The record of one committed block, as the ledger keeps it, and whether it is about the store that it lies in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import numpy as np

from udta.store._layout import Layout

_HEX = re.compile("[0-9a-f]*")


@dataclass(frozen=True)
class Record:
    """One committed block: rows `start` to `stop` (excluded).

    `samples` is (id, SHA-256 of the file's bytes) row by row; `checksums` has for each tap one CRC-32C per view over the
    C-order bytes of the block's rows; `skipped` maps rows whose image could not be used to the reason; `clipped` counts for each
    uint8 tap the values that lay outside its range; `note` is what the engine wants to know about the block's file.
    """

    block: int
    start: int
    stop: int
    samples: tuple[tuple[str, str], ...]
    checksums: Mapping[str, tuple[str, ...]]
    skipped: Mapping[int, str] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    note: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; the inverse of `from_json`."""
        return {
            "block": self.block,
            "rows": [self.start, self.stop],
            "samples": [list(sample) for sample in self.samples],
            "checksums": {tap: list(values) for tap, values in self.checksums.items()},
            "skipped": {str(row): reason for row, reason in self.skipped.items()},
            "clipped": dict(self.clipped),
            "note": dict(self.note),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Record:
        """Raises `KeyError`, `TypeError` or `ValueError` when the document is not a record."""
        # `int` and `str` around everything: JSON may hold any type here, and a number as text would be found far away.
        start, stop = document["rows"]
        return cls(
            block=int(document["block"]),
            start=int(start),
            stop=int(stop),
            samples=tuple((str(name), str(content)) for name, content in document["samples"]),
            checksums={str(tap): tuple(values) for tap, values in document["checksums"].items()},
            skipped={int(row): str(reason) for row, reason in document["skipped"].items()},
            clipped={str(tap): int(count) for tap, count in document["clipped"].items()},
            note=dict(document["note"]),
        )

    def check(self, layout: Layout) -> None:
        """Raises `ValueError` where it is not about the rows, taps and views that a store of this layout has in its block."""
        # Its own checksum is no signature: that of a stranger's record fits too, and may claim rows beyond the arrays.
        names, contents = zip(*self.samples, strict=True) if self.samples else ((), ())
        if not 0 <= self.block < layout.n_blocks or (self.start, self.stop) != layout.block_range(self.block):
            raise ValueError("it is about other rows than the store has there")
        if names != layout.ids[self.start : self.stop]:
            raise ValueError("it is about other images than the store has there")
        # 64 hexadecimal digits each: they are kept as 32 bytes a row, and joined for that without another look.
        if set(map(len, contents)) != {64} or not _HEX.fullmatch("".join(contents)):
            raise ValueError("the content of an image is named by no SHA-256")
        if self.checksums.keys() != layout.taps.keys() or any(
            len(views) != layout.n_views for views in self.checksums.values()
        ):
            raise ValueError("it has checksums of other taps or views than the store")
        if not all(self.start <= row < self.stop for row in self.skipped):
            raise ValueError("it skips rows that it does not have")


def checksum(values: np.ndarray) -> str:
    """CRC-32C of an array's C-order bytes, as 8 hexadecimal digits."""
    # A uint8 view is hashed in place at 16.6 GB/s; `tobytes()` would copy first (1.8 GB/s).
    return f"{google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8)):08x}"
