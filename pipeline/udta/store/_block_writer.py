"""Committing blocks of a store that is there: values, then flush, then the ledger record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from udta.errors import FeatureError, StoreError
from udta.store._continuation import Samples
from udta.store._dtypes import STORAGE_TYPES, not_finite
from udta.store._engine import Engine
from udta.store._growth import Part, Predecessor
from udta.store._layout import Layout
from udta.store._record import Record, checksum


class BlockWriter:
    """Writes blocks into the store of an engine. Several may, in several processes, as long as each has blocks of its own.

    Args:
        path: what errors call the store.
        engine: of the store.
        layout: of the store.
        samples: (id, content hash) of every row.
    """

    def __init__(self, path: Path, engine: Engine, layout: Layout, samples: Samples) -> None:
        self.path, self.layout = path, layout
        self._engine, self._samples = engine, samples
        self._old: Predecessor | None = None
        self._committed: set[int] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look into the ledger again: others may have committed blocks."""
        # Names alone: a record holds the identity of every sample, and whoever claims blocks looks again and again.
        self._committed = set(self._engine.ledger.blocks())

    @property
    def missing(self) -> list[int]:
        """The blocks that no ledger record covers, in order."""
        return [block for block in range(self.layout.n_blocks) if block not in self._committed]

    def is_committed(self, block: int) -> bool:
        """Whether the ledger has a block by now."""
        return self._engine.ledger.path(block).exists()

    @property
    def grows(self) -> bool:
        """Whether a store is there already of which this is the successor, and may have some of a missing block."""
        return self._old is not None

    def parts(self, block: int) -> list[Part]:
        """What of a missing block has to be computed; the rest of it is in the store already, see `recall`."""
        if self._old is not None:
            return self._old.missing(block)
        return [
            Part(np.arange(*self.layout.block_range(block)), tuple(range(self.layout.n_views)), tuple(self.layout.taps))
        ]

    def recall(self, block: int, features: Mapping[str, np.ndarray]) -> None:
        """Fill in what the store that grows has of a missing block; nothing where none does."""
        if self._old is not None:
            self._old.recall(block, features)

    def write(
        self,
        block: int,
        features: Mapping[str, np.ndarray],
        skipped: Mapping[int, str] | None = None,
        clipped: Mapping[str, int] | None = None,
        *,
        skip_unusable: bool = False,
    ) -> None:
        """Store and commit one block.

        Args:
            block: one of `missing`.
            features: for every tap `[rows, views, *tap.shape]` as stored (bfloat16 as its bits, uint16).
            skipped: reason by row (of the store) for samples whose image could not be used; their features become NaN (0 in
                uint8).
            clipped: how many values of a uint8 tap lay outside its range.
            skip_unusable: a sample with a feature that is NaN or infinite is skipped too.

        Raises:
            FeatureError: a feature of a sample that is not skipped is NaN or infinite, and `skip_unusable` is not set; nothing of
                the block is committed.
        """
        start, stop = self.layout.block_range(block)
        bad = dict(skipped or {})
        bad |= self._unusable(block, features, bad, skip_unusable)
        # In place: `features` is the caller's buffer of this block, and a copy would double the memory of a block in flight.
        positions = [row - start for row in bad]
        for tap, values in features.items() if bad else ():
            values[positions] = STORAGE_TYPES[self.layout.taps[tap].dtype].fill
        # After the fill, over what readers get: each view by itself, since a reader of one view should not have to read them all.
        checksums = {
            tap: tuple(checksum(values[:, view]) for view in range(self.layout.n_views))
            for tap, values in features.items()
        }
        samples = self._samples[start:stop]
        try:
            note = self._engine.write_block(self.layout, block, features)  # returns when the disk has it
            # Never before: a record without its values would be rows that read as zeros, which is why there is a ledger.
            self._engine.ledger.put(Record(block, start, stop, samples, checksums, bad, dict(clipped or {}), note))
        except OSError as error:
            raise StoreError(
                f"{self.path}: block {block} cannot be written ({error.strerror or error}); {len(self._committed)} of "
                f"{self.layout.n_blocks} blocks are committed, the same command continues once there is room"
            ) from error
        self._committed.add(block)
        self._after_commit()

    def _after_commit(self) -> None:  # a worker process has nothing to do; the one writer of the store overrides it
        """Called with every block that was committed."""

    def _unusable(
        self, block: int, features: Mapping[str, np.ndarray], skipped: Mapping[int, str], skip: bool
    ) -> dict[int, str]:
        """Reason by row, for features that are not finite."""
        start = self.layout.block_range(block)[0]
        # What was taken over from an older store was checked then, and is most of the block where a store grows by a few images.
        rows = np.unique(np.concatenate([np.empty(0, int), *(part.rows for part in self.parts(block))]))
        rows = rows[[row not in skipped for row in rows.tolist()]]
        types = {tap: spec.dtype for tap, spec in self.layout.taps.items()}
        reasons = not_finite(features, types, rows - start)
        if reasons and not skip:
            position = min(reasons)
            raise FeatureError(
                f"{self._samples[start + position][0]}: {reasons[position]}; such values are never stored"
            )
        return {start + position: reason for position, reason in reasons.items()}
