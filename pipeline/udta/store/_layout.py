"""Everything about a store but its values: which rows, taps, views and blocks it has, and what they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from udta.fingerprint import Fingerprint, TapSpec
from udta.probe import Probe
from udta.store._attributes import check_attributes, check_columns
from udta.store._dtypes import stored_dtype

if TYPE_CHECKING:
    from udta.store._quantise import Quantiser

FORMAT = "udta-store"
FORMAT_VERSION = 1  # of files: an older udta refuses a larger one; values are the fingerprint's `feature_version`

# A block is what a crash can cost and what has to be held in memory, so it is bounded in rows and in bytes.
BLOCK_ROWS = 256
BLOCK_BYTES = 256 * 2**20
# Blocks are a whole number of batches, so that a block has the same batches in it whenever it is computed.
BATCH_ROWS = 32
SMALLEST_BLOCK = 16


@dataclass(frozen=True)
class Layout:
    """The rows (id, label, split), the taps in execution order, the number of views and the block size of a store.

    `quantisers` has an entry for every uint8 tap; `codec` is the lossless compression of its chunks, `none` by default.
    `storage_error` and `compute_error` are the measured errors of storage type and arithmetic, see `extraction.calibration`.
    `probe` is what the backbone gave for a fixed picture, `memory_format` that of its maps while it computed, and `impure` names
    modules that were allowed to be no function of one image.
    `generation` stands for the samples, their contents and the fingerprint: stores that share it hold the same features in the
    same rows. `source` is a hint for finding the images and the backbone again; it decides nothing.
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
    quantisers: Mapping[str, Quantiser] = field(default_factory=dict)
    codec: str = "none"
    storage_error: Mapping[str, Any] = field(default_factory=dict)
    compute_error: Mapping[str, Any] = field(default_factory=dict)
    probe: Probe = field(default_factory=Probe)
    memory_format: str = "channels_last"
    impure: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    generation: str = ""

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

    def slots(self, rows: np.ndarray, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where view `views[i]` of row `rows[i]` is: its slot, one view of one block, and its position in there."""
        # Views of a block are chunks of their own, since most epochs read one view of each row.
        blocks, local = np.divmod(rows, self.block_rows)
        return blocks * self.n_views + views, local

    def attributes(self) -> dict[str, Any]:
        """The group attributes that a stranger sees."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "classes": list(self.classes),
            "taps": [tap.to_json() for tap in self.taps.values()],
            "rows": len(self),
            "views": self.n_views,
            "block_rows": self.block_rows,
            "split_rule": self.split_rule,
            "codec": self.codec,
            "quantisation": {tap: quantiser.to_json() for tap, quantiser in self.quantisers.items()},
            "storage_error": dict(self.storage_error),
            "compute_error": dict(self.compute_error),
            "probe": self.probe.to_json(),
            "memory_format": self.memory_format,
            "impure": list(self.impure),
            "fingerprint": dict(self.fingerprint.fields),
            "source": dict(self.source),
            "generation": self.generation,
        }

    @classmethod
    def from_attributes(
        cls, attributes: Mapping[str, Any], ids: Sequence[str], labels: np.ndarray, splits: Sequence[str]
    ) -> Layout:
        """The inverse of `attributes`, with the three columns that are stored as arrays.

        Raises:
            ValueError: they are not what a store can have.
        """
        check_attributes(attributes)
        check_columns(attributes, ids, np.asarray(labels), splits)
        return cls._of(attributes, ids, labels, splits)

    @classmethod
    def from_seal(cls, attributes: Mapping[str, Any], ids: Sequence[str]) -> Layout:
        """From attributes alone, where the columns are lost; an id that nothing tells is empty.

        Raises:
            ValueError: they are not what a store can have.
        """
        # Labels and splits are asked for again by every extraction; whatever stands here is written anew by it.
        check_attributes(attributes)
        return cls._of(attributes, ids, np.full(len(ids), -1), [""] * len(ids))

    @classmethod
    def _of(
        cls, attributes: Mapping[str, Any], ids: Sequence[str], labels: np.ndarray, splits: Sequence[str]
    ) -> Layout:
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
            codec=attributes["codec"],
            quantisers=_Quantisers(attributes["quantisation"], taps),
            storage_error=attributes["storage_error"],
            compute_error=attributes.get("compute_error", {}),  # stores of feature version 1 have none
            # Older stores have no probe, which says nothing then, and were all computed with channels last.
            probe=Probe.from_json(attributes.get("probe", {})),
            memory_format=attributes.get("memory_format", "channels_last"),
            impure=tuple(attributes.get("impure", ())),
            source=attributes["source"],
            generation=attributes.get("generation", ""),  # older stores have none
        )


class _Quantisers(Mapping[str, "Quantiser"]):
    """Those that a store tells of, made when one is asked for: they load torch, which `udta info` need not wait for."""

    def __init__(self, found: Mapping[str, Any], taps: Sequence[TapSpec]) -> None:
        self._told = {tap.name: (found[tap.name], tap.shape) for tap in taps if tap.name in found}
        self._made: dict[str, Quantiser] = {}

    def __getitem__(self, tap: str) -> Quantiser:
        if tap not in self._made:
            from udta.store._quantise import Quantiser

            self._made[tap] = Quantiser.from_json(*self._told[tap])
        return self._made[tap]

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)

    def __contains__(self, tap: object) -> bool:
        return tap in self._told


def generation_of(layout: Layout, hashes: Sequence[str]) -> str:
    """What `Layout.generation` is for samples of these contents (SHA-256 in row order)."""
    digest = hashlib.sha256(layout.fingerprint.digest.encode())
    for sample in zip(layout.ids, hashes, strict=True):
        # A path cannot hold "\0", so no two lists of samples give the same bytes. Paths need not be UTF-8.
        digest.update("\0".join(("", *sample)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def row_bytes(tap: TapSpec) -> int:
    """Bytes of one view of one sample as stored."""
    return int(np.prod(tap.shape, dtype=np.int64)) * stored_dtype(tap.dtype).itemsize


def default_block_rows(taps: Sequence[TapSpec], n_views: int, n_rows: int) -> int:
    """`BLOCK_ROWS`, or fewer when that many samples would exceed `BLOCK_BYTES`; at least `SMALLEST_BLOCK`."""
    sample = n_views * sum(row_bytes(tap) for tap in taps)
    most = max(SMALLEST_BLOCK, min(BLOCK_ROWS, BLOCK_BYTES // max(sample, 1)))
    most -= most % BATCH_ROWS if most > BATCH_ROWS else 0
    # Shared out evenly, because the last chunk of a Zarr array is stored in full: 593 rows in blocks of 256 would take the space
    # of 768, in blocks of 224 that of 672.
    n_blocks = max(1, -(-n_rows // most))
    even = -(-n_rows // n_blocks)
    return min(most, max(SMALLEST_BLOCK, BATCH_ROWS * -(-even // BATCH_ROWS)))
