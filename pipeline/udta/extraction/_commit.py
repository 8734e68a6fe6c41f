"""Features into the buffers of their block, and complete blocks to the disk, while the next ones are computed.

What is in memory is bounded by a block for each writer, one more, and the batches ahead, whatever the number of images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from udta.extraction._compute import FeatureBatch
from udta.extraction._meter import Meter
from udta.extraction._work import Piece, WorkItem
from udta.store import BlockWriter, Layout, stored_dtype


class Committer:
    """Takes computed items and commits the blocks that they complete; a context that waits for the last of them.

    Args:
        writer: of the store.
        skip_unusable: whether a sample whose features are not finite is skipped.
        writers: blocks that are written at the same time.
        meter: counts writing.
        committed: called with every block that is on the disk, in the thread that wrote it.
    """

    def __init__(
        self,
        writer: BlockWriter,
        *,
        skip_unusable: bool,
        writers: int,
        meter: Meter,
        committed: Callable[[int], None] = lambda _block: None,
    ) -> None:
        self._writer, self._skip_unusable, self._meter, self._committed = writer, skip_unusable, meter, committed
        self._buffers = _Buffers(writer.layout)
        self._open: _OpenBlock | None = None
        self._arrived: dict[int, list[tuple[Piece, WorkItem, FeatureBatch]]] = {}
        self._disk, self._writers = ThreadPoolExecutor(writers, thread_name_prefix="udta-write"), writers
        self._writing: deque[Future[None]] = deque()
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever went wrong with a later item, blocks that are complete are committed."""
        try:
            for each in self._writing:
                each.result()
        finally:
            self._disk.shutdown()

    def __call__(self, item: WorkItem, batch: FeatureBatch) -> None:
        """Put an item's rows where they belong. Raises `FeatureError`, `StoreError` of a block that was completed earlier."""
        for piece in item.pieces:
            self._arrived.setdefault(piece.block, []).append((piece, item, batch))
        while self._arrived:
            # One block at a time has buffers: rows of the others wait in their batches, which are much smaller. Items come so
            # ordered that the first one that is missed is completed first.
            if self._open is None:
                block = min(self._arrived)
                self._open = self._begin(block, self._arrived[block][0][0].lacking)
            for each in self._arrived.pop(self._open.block, ()):
                self._open.put(*each)
            if self._open.lacking:
                break
            self._write(self._open)
            self._open = None

    def _begin(self, block: int, lacking: int) -> _OpenBlock:
        start, stop = self._writer.layout.block_range(block)
        features = self._buffers.take(stop - start)
        # Before the rows that are computed: of some rows it brings those of another image, which these replace.
        self._writer.recall(block, features)
        return _OpenBlock(block, features, lacking)

    def _write(self, done: _OpenBlock) -> None:
        self.rows += int(done.computed.sum())
        if len(self._writing) == self._writers:
            # No block waits in memory for a writer, and their errors surface here.
            self._writing.popleft().result()
        self._writing.append(self._disk.submit(self._on_disk, done))

    def _on_disk(self, done: _OpenBlock) -> None:
        # Bytes of a ledger record may not depend on the order in which the rows and taps of a growing store arrived.
        skipped = dict(sorted(done.skipped.items()))
        clipped = {tap: done.clipped[tap] for tap in self._writer.layout.taps if tap in done.clipped}
        with self._meter.step("write"):
            self._writer.write(done.block, done.features, skipped, clipped, skip_unusable=self._skip_unusable)
        self._meter.add({}, bytes=sum(values.nbytes for values in done.features.values()))
        self._buffers.give_back(done.features)
        self._committed(done.block)


class _OpenBlock:
    """A block whose rows are arriving: `lacking` says how many are to come, `computed` which have come."""

    def __init__(self, block: int, features: dict[str, np.ndarray], lacking: int) -> None:
        self.block, self.features, self.lacking = block, features, lacking
        self.skipped: dict[int, str] = {}
        self.clipped: dict[str, int] = {}
        self.computed = np.zeros(len(next(iter(features.values()))), bool)

    def put(self, piece: Piece, item: WorkItem, batch: FeatureBatch) -> None:
        """Put rows in their places."""
        source, rows = piece.source, item.rows[piece.source]
        for tap, values in batch.features.items():
            for position, view in enumerate(item.views):
                self.features[tap][piece.target, view] = values[source, position]
        # Values of a uint8 tap of a black image, which stands for one that is skipped, are no values that were clipped.
        bad = {row: batch.skipped[row] for row in rows if row in batch.skipped}
        good = slice(None) if not bad else np.flatnonzero([row not in bad for row in rows])
        for tap, counts in batch.clipped.items():
            self.clipped[tap] = self.clipped.get(tap, 0) + int(counts[source][good].sum())
        self.skipped |= bad
        self.computed[piece.target] = True
        self.lacking -= len(piece)


class _Buffers:
    """Memory of blocks, `[rows, views, *tap.shape]` for every tap, that is used again."""

    # Fresh memory for every block cost as much processor time as everything else that is not decoding or the backbone (large
    # features: a page fault for each 4 kB).
    def __init__(self, layout: Layout) -> None:
        self._layout, self._free = layout, list[dict[str, np.ndarray]]()

    def take(self, rows: int) -> dict[str, np.ndarray]:
        """For so many rows; whatever lay there before lies there."""
        try:
            whole = self._free.pop()
        except IndexError:
            layout = self._layout
            # One view after another, as a store's chunks are: a view is written without a copy.
            whole = {
                name: np.empty((layout.n_views, layout.block_rows, *tap.shape), stored_dtype(tap.dtype)).swapaxes(0, 1)
                for name, tap in layout.taps.items()
            }
        return {name: values[:rows] for name, values in whole.items()}

    def give_back(self, features: dict[str, np.ndarray]) -> None:
        """What `take` gave, once nobody needs it; only the last block is shorter."""
        # By the threads that write, without a lock: only the loop takes, and a list's `append` and `pop` are atomic.
        if all(len(values) == self._layout.block_rows for values in features.values()):
            self._free.append(features)
