"""Growing a store: what of an old store a new one can take over, and what is left to compute.

A store whose fingerprint differs only by *more* (another tap, more views), or that shall hold other images, is not computed
anew. The grown store is built beside the old one, which stays readable: blocks that did not change are linked, the other rows
are copied from the old store where it has them, and only what it does not have is computed. So a grown store is laid out
exactly as one that was extracted at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from udta.errors import CorruptStoreError
from udta.fingerprint import Fingerprint
from udta.store._engine import Engine
from udta.store._layout import Layout
from udta.store._record import Record
from udta.store._tap_rows import TapRows


@dataclass(frozen=True)
class Part:
    """Rows of one block that have to be computed in the same views for the same taps."""

    rows: np.ndarray
    views: tuple[int, ...]
    taps: tuple[str, ...]


def only_more(stored: Fingerprint, asked: Fingerprint) -> bool:
    """Whether `asked` needs all features that `stored` describes, unchanged, and perhaps more taps or more views."""
    if set(stored.fields) != set(asked.fields):
        return False
    for name, field in stored.fields.items():
        wanted = asked.fields[name]
        if name == "taps":
            if any(wanted.get(tap) != spec for tap, spec in field.items()):
                return False
        elif name == "views":
            augmented_alike = {**field, "count": 0} == {**wanted, "count": 0}
            if wanted["count"] < field["count"] or not (augmented_alike or field["count"] == 1):
                return False
        elif field != wanted:
            return False
    return True


class Predecessor:
    """The old store of a growing one.

    Args:
        engine, layout, records: what is there.
        target: the layout that is being built.
        samples: (id, content hash) of every row of the target.
    """

    def __init__(
        self,
        engine: Engine,
        layout: Layout,
        records: Mapping[int, Record],
        target: Layout,
        samples: tuple[tuple[str, str], ...],
    ) -> None:
        self.engine, self.layout, self.target = engine, layout, target
        self.records = dict(records)
        # By content alone: views are drawn from it, so a renamed image has the same features.
        old_row = {
            content: record.start + position
            for record in records.values()
            for position, (_, content) in enumerate(record.samples)
            if record.start + position not in record.skipped
        }
        # Images of the target that were skipped here: they prove that it is the same store, though there is nothing to take over.
        skipped = {record.samples[row - record.start] for record in records.values() for row in record.skipped}
        self._samples, self._shares = samples, not old_row or not skipped.isdisjoint(samples)
        self.old_rows = np.array([old_row.get(content, -1) for _, content in samples], dtype=np.int64)
        self.new_taps = tuple(tap for tap in target.taps if tap not in layout.taps)
        self.new_views = tuple(range(layout.n_views, target.n_views))
        self._rows = {name: TapRows(engine, layout, self.records, tap) for name, tap in layout.taps.items()}

    def drop_damaged(self) -> None:
        """Before anything is read: take nothing over from a block whose bytes are not those that were committed."""
        # Every byte is read once more than copying would: a checksum that is computed anew would make damage look sound.
        for block, record in list(self.records.items()):
            try:
                self.engine.check_block(self.layout, record)
            except CorruptStoreError:
                del self.records[block]
                self.old_rows[(self.old_rows >= record.start) & (self.old_rows < record.stop)] = -1

    @property
    def shares_nothing(self) -> bool:
        """Whether features are in the old store, but no sample of the target, not even as an image that was skipped."""
        return bool((self.old_rows < 0).all()) and not self._shares

    def unchanged_block(self, block: int) -> Record | None:
        """The record of the old block that holds exactly these rows with everything the target wants."""
        start, stop = self.target.block_range(block)
        old = self.old_rows[start:stop]
        # Of the same block size, because a Zarr chunk is stored in full: its file has the length of a whole block.
        if self.new_taps or self.new_views or self.layout.block_rows != self.target.block_rows or old[0] < 0:
            return None
        record = self.records[int(old[0]) // self.layout.block_rows]
        same = record.stop - record.start == stop - start and (old == np.arange(record.start, record.stop)).all()
        return record if same and not record.skipped else None  # growing is when skipped images are tried again

    def take_over(self, record: Record, block: int, engine: Engine) -> None:
        """Link an unchanged block into the new store and commit it there."""
        engine.link_block(self.target, block, self.engine, record)
        # Its checksums stay those of the first commit; the ids may be others, of images that were renamed.
        start, stop = self.target.block_range(block)
        engine.ledger.put(replace(record, block=block, start=start, stop=stop, samples=self._samples[start:stop]))

    def missing(self, block: int) -> list[Part]:
        """What of a block has to be computed."""
        start, stop = self.target.block_range(block)
        known = self.old_rows[start:stop] >= 0
        new, old = start + np.flatnonzero(~known), start + np.flatnonzero(known)
        every = tuple(range(self.target.n_views))
        # Disjoint, and together all that is missing: new images; new taps in old views; everything in new views.
        parts = [
            Part(new, every, tuple(self.target.taps)),
            Part(old, every[: self.layout.n_views], self.new_taps),
            Part(old, self.new_views, tuple(self.target.taps)),
        ]
        return [part for part in parts if len(part.rows) and part.views and part.taps]

    def recall(self, block: int, features: Mapping[str, np.ndarray]) -> None:
        """Fill in what the old store has of a block: `[rows, views, *tap.shape]` for every tap.

        Rows that it does not have hold nothing that means anything until what is computed for them replaces it.
        """
        start, stop = self.target.block_range(block)
        rows = self.old_rows[start:stop]
        if (rows < 0).all():
            return
        # Rows that it does not have get those of another image: gathering all rows of a view at once is a third of the time of
        # gathering some and placing them.
        rows = np.where(rows < 0, rows.max(), rows)
        for tap, source in self._rows.items():
            for view in range(self.layout.n_views):
                target = features[tap][:, view]
                # Rows are gathered by `np.take` into one piece of memory; a view of several views has gaps.
                values = target if target.flags.c_contiguous else np.empty(target.shape, target.dtype)
                source.take(*self.layout.slots(rows, np.array(view)), values)
                if values is not target:
                    target[:] = values
