"""The line that every image goes down: `commit(compute(decode(item)))`, with a bounded number of items on it.

An item carries its own address, so nothing has to be remembered beside the one queue of what has begun. Items leave it in the
order in which they came: an error is that of the earliest item, and what was complete before it is committed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from udta._machine.memory import freed_memory_kept
from udta.extraction._commit import Committer
from udta.extraction._compute import Computer, FeatureBatch, Later
from udta.extraction._meter import Meter
from udta.extraction._request import Request
from udta.extraction._work import Effort, FeatureSource, WorkItem, items_of, work_items
from udta.extraction.decode import Decoding, Reader, open_decoder
from udta.store import BlockWriter

# What an item and its features are for.
Then = Callable[[WorkItem, FeatureBatch], None]


@dataclass(frozen=True)
class _Begun:
    """An item on the line."""

    item: WorkItem
    decoding: Decoding
    features: Later[FeatureBatch]
    then: Then

    def hand_over(self) -> None:
        """Waits for its features."""
        self.then(self.item, self.features())


class Pipeline:
    """The line: items are pushed in, and each comes out in its turn, with its features; a context, which leaves nothing running.

    Args:
        source: whose features.
        taps: each set of taps that items ask for.
        effort: threads and items ahead.
        meter: counts reading, decoding and forward passes.
        n_views: how many views there are to make, where these are so many that it matters.
        reader: of views that are shared with other extractions.

    Raises:
        BackboneError: it cannot be prepared.
    """

    def __init__(
        self,
        source: FeatureSource,
        taps: Iterable[tuple[str, ...]],
        effort: Effort,
        meter: Meter,
        *,
        n_views: int = 0,
        reader: Reader | None = None,
    ) -> None:
        self._device = source.device.type
        # The decoder first: its processes start (0.5 s) while the backbone is copied and folded.
        with ExitStack() as unfinished:
            self._decode = unfinished.enter_context(closing(open_decoder(source, effort, meter, n_views, reader)))
            self._compute = Computer(source, taps, effort, meter)
            unfinished.pop_all()
        self._opened, self._begun = ExitStack(), deque[_Begun]()

    def __enter__(self) -> Self:
        self._opened.enter_context(freed_memory_kept(self._device))  # before any thread starts: they share its arenas
        self._opened.callback(self._compute.close)
        # Closed before the passes, which wait for it: they need not wait for what will not come.
        self._opened.callback(self._decode.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def push(self, item: WorkItem, then: Then) -> None:
        """Begin an item, and hand over the oldest of those before it where the line would get too long.

        Args:
            item: decoded and computed beside the caller.
            then: called with the item and its features by a later `push` or `finish`, in the order in which items came.

        Raises:
            ImageError, DataError: what an image of the item that is handed over makes the decoder raise.
            FeatureError: codes cannot hold a feature of it. BackboneError: the backbone fails. What its `then` raises.
        """
        decoding = self._decode(item)
        self._begun.append(_Begun(item, decoding, self._compute(item, decoding), then))
        # A slow decoder must not get further ahead than a fast one: what is decoded, and what other extractions share with this
        # one, is in memory. Its errors are for later, when items are handed over in their order.
        if len(self._begun) > self._decode.ahead:
            self._begun[-1 - self._decode.ahead].decoding.wait()
        if len(self._begun) > self._decode.ahead + self._compute.ahead(item):
            self.hand_over()

    def finish(self) -> None:
        """Hand over all that was begun. Raises as `push` does."""
        while self.hand_over():
            pass

    def hand_over(self) -> bool:
        """Hand over the oldest item that was begun; False where there is none. Raises as `push` does."""
        if not self._begun:
            return False
        self._begun.popleft().hand_over()
        return True


def feature_batches(
    source: FeatureSource, rows: Iterable[int], views: Iterable[int], meter: Meter | None = None
) -> Iterator[FeatureBatch]:
    """Features of rows that go into no store, `BATCH_ROWS` at a time and in order, with what an extraction does to be fast.

    Args:
        source: whose features.
        rows: of its manifest.
        views: of each row.
        meter: counts what is done.

    Raises:
        ImageError, DataError, BackboneError: as `extract`.
    """
    items, done = items_of(rows, views, source.taps), list[FeatureBatch]()
    with Pipeline(source, {item.taps for item in items}, Effort(), meter or Meter()) as line:
        for item in items:
            line.push(item, lambda _, batch: done.append(batch))
            yield from done
            done.clear()
        # One by one: what came before an image that fails is not lost with it.
        while line.hand_over():
            yield from done
            done.clear()


class Job:
    """Blocks of one store, computed and committed in this process: that of the call, or a worker's.

    Everything is prepared when this is made, which must be before any other job of the same process runs, see `Computer`.

    Args:
        writer: of the store.
        request: what is extracted.
        effort: threads, items ahead, blocks written at the same time.
        meter: counts what is done.
        reader: of views that are shared with other extractions; it also says when this one may go on.

    Raises:
        BackboneError: it cannot be prepared.
    """

    def __init__(
        self,
        writer: BlockWriter,
        request: Request,
        effort: Effort,
        meter: Meter,
        reader: Reader | None = None,
    ) -> None:
        layout = writer.layout
        self._writer, self._effort, self._meter = writer, effort, meter
        self._skip_unusable = request.options.on_error == "skip"
        # The writer's layout, not the request's: a store that is there keeps its taps, its memory format and its codes.
        whole = FeatureSource.of(replace(request, layout=layout), layout.taps.values())
        source = replace(whole, quantisers=layout.quantisers)
        n_views = len(request.manifest) * request.views.count
        self._pipeline = Pipeline(source, _sets_of_taps(writer), effort, meter, n_views=n_views, reader=reader)

    def run(
        self,
        blocks: Iterable[int],
        computed: Callable[[int], None],
        committed: Callable[[int], None] = lambda _block: None,
    ) -> int:
        """Compute and commit blocks; returns of how many rows anything was computed.

        Args:
            blocks: which; an iterator is asked for the next one shortly before it is begun.
            computed: called with the number of rows of every batch, in the calling thread.
            committed: called with every block that is on the disk.

        Raises:
            ImageError, DataError, FeatureError, StoreError, BackboneError: as `extract`.
        """
        saving = Committer(
            self._writer,
            skip_unusable=self._skip_unusable,
            writers=self._effort.writers,
            meter=self._meter,
            committed=committed,
        )

        def then(item: WorkItem, batch: FeatureBatch) -> None:
            # Before the commit: whoever stops the work from there keeps the blocks that were complete before this batch.
            if item.rows:
                computed(len(item.rows))
            commit(item, batch)

        # Left in the opposite order: nothing more is decoded or computed while the last blocks are on their way to the disk.
        with saving as commit, self._pipeline as line:
            for item in work_items(self._writer, blocks):
                line.push(item, then)
            line.finish()
        return commit.rows


def _sets_of_taps(writer: BlockWriter) -> set[tuple[str, ...]]:
    if not writer.grows:
        return {tuple(writer.layout.taps)}
    # New images need every tap, old ones perhaps a new tap alone: a pass computes no tap that is not wanted of its rows.
    return {part.taps for block in writer.missing for part in writer.parts(block)}
