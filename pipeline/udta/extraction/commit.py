"""Blocks computed and committed one after another: the next is computed while others are on their way to the disk.

What is in memory is bounded by a block for each writer, one more, and the batches ahead, whatever the number of images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass

import numpy as np
import torch

from udta.backbones import TapForward
from udta.extraction.compute import Computer, FeatureBatch
from udta.extraction.decode.batches import decoded_batches
from udta.extraction.decode.makers import Filler, ProcessFiller, ThreadFiller, make_views, processes_pay
from udta.extraction.decode.shared import Reader
from udta.extraction.meter import Meter
from udta.extraction.options import PREFETCH
from udta.extraction.request import Request
from udta.extraction.work import FeatureStream
from udta.images import OnError
from udta.store import BlockWriter, Layout, Part, stored_dtype

_Kind = tuple[tuple[int, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Effort:
    """How much of the machine is used; none of it can change a bit.

    `threads` decode, and as many compute on a CPU, in `turns` with others that do so too; `writers` commit blocks, each one at a
    time.
    """

    prefetch: int = PREFETCH
    threads: int | None = None
    writers: int = 1
    turns: AbstractContextManager[object] | None = None

    @classmethod
    def on(
        cls,
        device: torch.device,
        prefetch: int,
        threads: int | None = None,
        turns: AbstractContextManager[object] | None = None,
    ) -> Effort:
        """What suits a device: an H100 fills a block of averages in 30 ms, and a slow disk takes longer to flush one."""
        return cls(prefetch, threads, 3 if device.type == "cuda" else 1, turns)


def prepare_blocks(
    writer: BlockWriter,
    request: Request,
    blocks: Iterable[int],
    on_error: OnError,
    *,
    effort: Effort,
    meter: Meter,
    computed: Callable[[int], None],
    committed: Callable[[int], None] = lambda _block: None,
    reader: Reader | None = None,
) -> Callable[[], int]:
    """Get ready to compute and commit blocks; what is returned does so, and says of how many rows anything was computed.

    The backbone is prepared here and not there: torch.fx, which looks for BatchNorm to fold, changes `torch.nn.Module` for every
    thread while it traces, so no other extraction may be at work by then.

    Args:
        writer: of the store.
        request: what is extracted.
        blocks: which; an iterator is asked for the next one shortly before it is begun.
        on_error: what an image that cannot be used does.
        effort: threads and batches ahead.
        meter: counts what is done.
        computed: called with the number of rows of every batch.
        committed: called with every block that is on the disk.
        reader: of views that are shared with other extractions; it also says when this one may go on.

    Raises:
        BackboneError: it cannot be prepared. The returned function: ImageError, DataError, FeatureError, StoreError.
    """
    with ExitStack() as unused:
        filler = unused.enter_context(closing(_filler(request, on_error, effort, meter, reader)))
        factory = _StreamFactory(writer.layout, request, on_error, effort, meter, computed, filler, reader)
        streams, plan = _grown(writer, blocks, factory) if writer.grows else _whole(writer, blocks, factory)
        open_until_done = unused.pop_all()

    buffers = _Buffers(writer.layout)

    def write(block: int, features: dict[str, np.ndarray], skipped: dict[int, str], clipped: dict[str, int]) -> None:
        with meter.step("write"):
            writer.write(block, features, skipped, clipped, skip_unusable=on_error == "skip")
        meter.add({}, bytes=sum(values.nbytes for values in features.values()))
        buffers.give_back(features)
        committed(block)

    def run() -> int:
        rows = 0
        with open_until_done, ThreadPoolExecutor(effort.writers, thread_name_prefix="udta-write") as disk:
            pending: deque[Future[None]] = deque()
            try:
                for block, parts in plan:
                    start, stop = writer.layout.block_range(block)
                    features = buffers.take(stop - start)
                    writer.recall(block, features)
                    skipped: dict[int, str] = {}
                    clipped: dict[str, int] = {}
                    for part in parts:
                        bad, outside = streams[part.views, part.taps].fill(part.rows, start, features)
                        skipped |= bad
                        clipped = {tap: clipped.get(tap, 0) + outside.get(tap, 0) for tap in [*clipped, *outside]}
                    rows += len(np.unique(np.concatenate([part.rows for part in parts]))) if parts else 0
                    if len(pending) == effort.writers:
                        pending.popleft().result()  # no block waits in memory for a writer, and their errors surface here
                    pending.append(disk.submit(write, block, features, skipped, clipped))
            finally:
                for stream in streams.values():
                    stream.close()
                for each in pending:
                    each.result()
        return rows

    return run


@dataclass(frozen=True)
class _StreamFactory:
    """Makes the stream of a kind of parts: from decoding to stored features."""

    layout: Layout
    request: Request
    on_error: OnError
    effort: Effort
    meter: Meter
    computed: Callable[[int], None]
    filler: Filler
    reader: Reader | None

    def __call__(self, kind: _Kind, parts: Iterable[Part]) -> FeatureStream:
        views, names = kind
        request, layout = self.request, self.layout
        taps = tuple(layout.taps[name] for name in names)
        computer = Computer(
            TapForward(request.backbone, taps, request.compute, request.device, memory_format=layout.memory_format),
            taps,
            layout.quantisers,
            request.manifest.ids,
            threads=self.effort.threads,
            meter=self.meter,
            turns=self.effort.turns,
            on_error=self.on_error,
        )

        def compute(batches: Iterator[list[int]]) -> Generator[FeatureBatch, None, None]:
            decoded = decoded_batches(
                request.manifest,
                request.views,
                views,
                self.reader.paced(batches) if self.reader else batches,
                self.on_error,
                prefetch=self.effort.prefetch,
                device=request.device,
                meter=self.meter,
                filler=self.filler,
            )
            try:
                yield from computer.batches(decoded)
            finally:
                decoded.close()

        return FeatureStream(parts, layout, views, compute, self.computed)


def _filler(request: Request, on_error: OnError, effort: Effort, meter: Meter, reader: Reader | None) -> Filler:
    """Processes where they pay, which make every view alone; else threads, which may share views with others."""
    views, n_views = request.views, len(request.manifest) * request.views.count
    if reader is None and views.decoder == "pillow" and processes_pay(request.device, effort.threads, n_views):
        return ProcessFiller(request.manifest, views, on_error, meter=meter, threads=effort.threads)
    make = reader.make if reader else make_views
    return ThreadFiller(request.manifest, views, on_error, make=make, meter=meter, threads=effort.threads)


_Plan = Iterator[tuple[int, list[Part]]]


def _whole(
    writer: BlockWriter, blocks: Iterable[int], stream: _StreamFactory
) -> tuple[dict[_Kind, FeatureStream], _Plan]:
    """Whole blocks: one stream, and which block is next is asked as late as decoding ahead allows."""
    begun: deque[tuple[int, list[Part]]] = deque()

    def parts() -> Iterator[Part]:
        for block in blocks:
            found = writer.parts(block)
            begun.append((block, found))
            yield from found

    kind = tuple(range(writer.layout.n_views)), tuple(writer.layout.taps)
    only = stream(kind, parts())

    def plan() -> _Plan:
        while only.more():
            yield begun.popleft()

    return {kind: only}, plan()


def _grown(
    writer: BlockWriter, blocks: Iterable[int], stream: _StreamFactory
) -> tuple[dict[_Kind, FeatureStream], _Plan]:
    """Blocks that are there in part: a stream for each combination of views and taps, at most three."""
    plan = [(block, writer.parts(block)) for block in blocks]
    kinds: dict[_Kind, list[Part]] = {}
    for _, parts in plan:
        for part in parts:
            kinds.setdefault((part.views, part.taps), []).append(part)
    return {kind: stream(kind, parts) for kind, parts in kinds.items()}, iter(plan)


class _Buffers:
    """Memory of blocks, `[rows, views, *tap.shape]` for every tap, that is used again.

    One view lies after another in it: a view is written without a copy. Fresh memory for every block cost as much processor time
    as everything else that is not decoding or the backbone (large features: a page fault for each 4 kB).
    """

    def __init__(self, layout: Layout) -> None:
        self._layout, self._free = layout, list[dict[str, np.ndarray]]()

    def take(self, rows: int) -> dict[str, np.ndarray]:
        """For so many rows; whatever lay there before lies there."""
        try:
            whole = self._free.pop()
        except IndexError:
            layout = self._layout
            whole = {
                name: np.empty((layout.n_views, layout.block_rows, *tap.shape), stored_dtype(tap.dtype)).swapaxes(0, 1)
                for name, tap in layout.taps.items()
            }
        return {name: values[:rows] for name, values in whole.items()}

    def give_back(self, features: dict[str, np.ndarray]) -> None:
        """What `take` gave, once nobody needs it; only the last block is shorter."""
        if all(len(values) == self._layout.block_rows for values in features.values()):
            self._free.append(features)
