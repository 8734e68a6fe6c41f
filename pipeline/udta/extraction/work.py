"""Features of rows, computed batch after batch in the order in which blocks want them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

import numpy as np

from udta.extraction.compute import FeatureBatch
from udta.store import BATCH_ROWS, Layout, Part


class FeatureStream:
    """Hands out the features of a sequence of parts, all of the same views and taps; `fill` takes the next rows.

    Where whole blocks are computed a batch never crosses a block, since blocks are a whole number of batches: the bits do not
    depend on where a run was interrupted. Only where a store grows by single images do these share batches across blocks.

    Args:
        parts: what is wanted, in order; an iterator is asked for the next part only when there is room to compute it.
        layout: of the store.
        views: of all parts.
        compute: makes batches of features of batches of rows.
        computed: is called with the number of rows of every batch.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        layout: Layout,
        views: tuple[int, ...],
        compute: Callable[[Iterator[list[int]]], Generator[FeatureBatch, None, None]],
        computed: Callable[[int], None],
    ) -> None:
        self._views, self._computed = views, computed
        self._batches = compute(_batches(parts, layout))
        self._batch: FeatureBatch | None = None
        self._used = 0

    def more(self) -> bool:
        """Whether there is another row; waits for its batch."""
        if self._batch is None or self._used == len(self._batch):
            self._batch, self._used = next(self._batches, None), 0
            if self._batch is not None:
                self._computed(len(self._batch))
        return self._batch is not None

    def fill(
        self, rows: np.ndarray, start: int, features: Mapping[str, np.ndarray]
    ) -> tuple[dict[int, str], dict[str, int]]:
        """Put the next `rows` into a block's buffers, where row r is at `r - start`; returns what was skipped and clipped."""
        skipped: dict[int, str] = {}
        clipped: dict[str, int] = {}
        done = 0
        while done < len(rows) and self.more():
            batch = self._batch
            assert batch is not None  # `more` says so
            count = min(len(batch) - self._used, len(rows) - done)
            source, target = slice(self._used, self._used + count), _positions(rows[done : done + count] - start)
            for tap, values in batch.features.items():
                for position, view in enumerate(self._views):
                    features[tap][target, view] = values[source, position]
            bad: dict[int, str] = {}
            good: slice | np.ndarray = slice(None)
            if batch.skipped:
                bad = {row: batch.skipped[row] for row in batch.rows[source] if row in batch.skipped}
                good = np.flatnonzero([row not in bad for row in batch.rows[source]])
            for tap, counts in batch.clipped.items():
                clipped[tap] = clipped.get(tap, 0) + int(counts[source][good].sum())
            skipped |= bad
            self._used, done = self._used + count, done + count
        return skipped, clipped

    def close(self) -> None:
        """Stop computing ahead."""
        self._batches.close()


def _positions(rows: np.ndarray) -> np.ndarray | slice:
    """Neighbours as a slice, with which NumPy copies whole pieces."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _batches(parts: Iterable[Part], layout: Layout) -> Iterator[list[int]]:
    """Rows of all parts in order, `BATCH_ROWS` at a time; a part that is a whole block begins and ends with a batch."""
    open_batch: list[int] = []
    for part in parts:
        rows = part.rows.tolist()
        start, stop = layout.block_range(rows[0] // layout.block_rows)
        whole = len(rows) == stop - start
        if whole and open_batch:
            yield open_batch
            open_batch = []
        open_batch += rows
        while len(open_batch) >= BATCH_ROWS or (whole and open_batch):
            yield open_batch[:BATCH_ROWS]
            open_batch = open_batch[BATCH_ROWS:]
    if open_batch:
        yield open_batch
