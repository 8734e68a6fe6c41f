"""Everything about a store but its values: which rows, taps, views and blocks it has, and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from udta.fingerprint import Fingerprint, TapSpec

FORMAT = "udta-store"
FORMAT_VERSION = 1

# A block is what a crash can cost and what has to be held in memory, so it is bounded in rows and in bytes.
BLOCK_ROWS = 256
BLOCK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Layout:
    """The rows (id, label, split), the taps in execution order, the number of views and the block size of a store.

    `source` is a hint for finding the images and the backbone again; it decides nothing.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    taps: Mapping[str, TapSpec]
    n_views: int
    block_rows: int
    fingerprint: Fingerprint
    split_rule: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_blocks(self) -> int:
        """How many blocks cover all rows; the last may be shorter."""
        return -(-len(self) // self.block_rows)

    def block_range(self, block: int) -> tuple[int, int]:
        """First row and one past the last row of a block."""
        start = block * self.block_rows
        return start, min(start + self.block_rows, len(self))

    def attributes(self) -> dict[str, Any]:
        """The group attributes that a stranger sees."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "classes": list(self.classes),
            "taps": [tap.to_json() for tap in self.taps.values()],
            "views": self.n_views,
            "block_rows": self.block_rows,
            "split_rule": self.split_rule,
            "fingerprint": dict(self.fingerprint.fields),
            "source": dict(self.source),
        }

    @classmethod
    def from_attributes(
        cls, attributes: Mapping[str, Any], ids: Sequence[str], labels: np.ndarray, splits: Sequence[str]
    ) -> Layout:
        """The inverse of `attributes`, with the three columns that are stored as arrays."""
        taps = [TapSpec.from_json(tap) for tap in attributes["taps"]]
        return cls(
            ids=tuple(ids),
            labels=np.asarray(labels, dtype=np.int64),
            splits=tuple(splits),
            classes=tuple(attributes["classes"]),
            taps={tap.name: tap for tap in taps},
            n_views=attributes["views"],
            block_rows=attributes["block_rows"],
            fingerprint=Fingerprint(attributes["fingerprint"]),
            split_rule=attributes["split_rule"],
            source=attributes["source"],
        )


def row_bytes(tap: TapSpec) -> int:
    """Bytes of one view of one sample as stored."""
    return int(np.prod(tap.shape, dtype=np.int64)) * np.dtype(tap.dtype).itemsize


def default_block_rows(taps: Sequence[TapSpec], n_views: int) -> int:
    """`BLOCK_ROWS`, or fewer when that many samples would exceed `BLOCK_BYTES`; at least one batch of 16."""
    sample = n_views * sum(row_bytes(tap) for tap in taps)
    return max(16, min(BLOCK_ROWS, BLOCK_BYTES // max(sample, 1)))
