"""The line that every image goes down: `commit(compute(decode(item)))`, with a bounded number of items on it.

An item carries its own address, so nothing has to be remembered beside the one queue of what has begun. Items leave it in the
order in which they came: an error is that of the earliest item, and what was complete before it is committed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
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


class Pipeline:
    """Decodes and computes items beside the caller, who takes them in order; a context, which leaves nothing running.

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
        self._opened = ExitStack()

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

    def batches(self, items: Iterable[WorkItem]) -> Iterator[tuple[WorkItem, FeatureBatch]]:
        """The features of every item, in order; the next item is asked for when there is room for it.

        Raises:
            ImageError, DataError: what an image of the item makes the decoder raise.
            FeatureError: codes cannot hold a feature of the item.
            BackboneError: the backbone fails.
        """
        begun: deque[tuple[WorkItem, Decoding, Later[FeatureBatch]]] = deque()
        for item in items:
            decoding = self._decode(item)
            begun.append((item, decoding, self._compute(item, decoding)))
            # A decoder that is slower than the passes gets no further ahead than a fast one: views that are shared are kept until
            # the slowest extraction has taken them. What goes wrong is told below, where items come in their order.
            if len(begun) > self._decode.ahead:
                begun[-1 - self._decode.ahead][1].wait()
            # Oldest first, also where a later one is done: commits, progress and errors come in the order of rows.
            if len(begun) > self._decode.ahead + self._compute.ahead(item):
                first, _, features = begun.popleft()
                yield first, features()
        while begun:
            first, _, features = begun.popleft()
            yield first, features()


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
    items = items_of(rows, views, source.taps)
    with Pipeline(source, {item.taps for item in items}, Effort(), meter or Meter()) as pipeline:
        for _, batch in pipeline.batches(items):
            yield batch


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
        # Left in the opposite order: nothing more is decoded or computed while the last blocks are on their way to the disk.
        with saving as commit, self._pipeline as pipeline:
            for item, batch in pipeline.batches(work_items(self._writer, blocks)):
                # Before the commit: whoever stops the work from there keeps the blocks that were complete before this batch.
                if item.rows:
                    computed(len(item.rows))
                commit(item, batch)
        return commit.rows


def _sets_of_taps(writer: BlockWriter) -> set[tuple[str, ...]]:
    if not writer.grows:
        return {tuple(writer.layout.taps)}
    # New images need every tap, old ones perhaps a new tap alone: a pass computes no tap that is not wanted of its rows.
    return {part.taps for block in writer.missing for part in writer.parts(block)}
