"""What there is to compute, cut into items: a batch of rows that go through the backbone together, with the address of each row.

Where whole blocks are computed a batch never crosses a block, so that the bits do not depend on where a run was interrupted or
which process took which block. Only where a store grows by single images do these share batches across blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch

from udta.backbones import Backbone
from udta.extraction._request import Request
from udta.extraction.options import PREFETCH
from udta.fingerprint import TapSpec
from udta.images import Manifest, OnError, ViewSpec
from udta.store import BATCH_ROWS, BlockWriter, Layout, Part, Quantiser


@dataclass(frozen=True)
class FeatureSource:
    """Images and the backbone that they go through: everything that decides a feature but its row and its view.

    Without `quantisers` a uint8 tap has no code: ask for it as float32 then.
    """

    manifest: Manifest
    views: ViewSpec
    backbone: Backbone
    taps: tuple[TapSpec, ...]
    compute: str
    device: torch.device
    # Of the backbone's maps; a store's layout says in which it was made.
    memory_format: str = "channels_last"
    on_error: OnError = "fail"
    quantisers: Mapping[str, Quantiser] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, taps: Iterable[TapSpec]) -> FeatureSource:
        """Taps of what a request is about, without codes."""
        return cls(
            request.manifest,
            request.views,
            request.backbone,
            tuple(taps),
            request.compute,
            request.device,
            request.layout.memory_format,
            request.options.on_error,
        )


@dataclass(frozen=True)
class Effort:
    """How much of the machine is used; none of it can change a bit.

    `threads` decode, and as many compute on a CPU, in `turns` with others that do so too; `writers` commit blocks, each one at a
    time; `prefetch` batches are decoded ahead of the backbone.
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
        """What suits a device."""
        # An H100 fills a block of averages in 30 ms, and a slow disk takes longer to flush one. A CPU takes
        # longer to fill one than a thread to write it, and every writer holds a block in memory.
        return cls(prefetch, threads, 3 if device.type == "cuda" else 1, turns)


@dataclass(frozen=True)
class Piece:
    """The rows of an item that lie in one block: `source` in the item, `target` in the block.

    `lacking` is what the block lacks in all, so that it is known to be complete when so many rows have arrived; a row that lacks
    taps and views counts for each.
    """

    block: int
    source: slice
    target: slice | np.ndarray
    lacking: int

    def __len__(self) -> int:
        return int(self.source.stop - self.source.start)


@dataclass(frozen=True)
class WorkItem:
    """Rows that are decoded in the same views and computed in one batch for the same taps, and where each goes.

    An item of no block is for whoever asked for it; one without rows brings a block that lacks nothing but its commit.
    """

    rows: list[int]
    views: tuple[int, ...]
    taps: tuple[str, ...]
    pieces: tuple[Piece, ...] = ()


def items_of(rows: Iterable[int], views: Iterable[int], taps: Iterable[TapSpec]) -> list[WorkItem]:
    """Rows that belong to no block, `BATCH_ROWS` at a time."""
    every, which, names = [int(row) for row in rows], tuple(views), tuple(tap.name for tap in taps)
    return [WorkItem(every[start : start + BATCH_ROWS], which, names) for start in range(0, len(every), BATCH_ROWS)]


def work_items(writer: BlockWriter, blocks: Iterable[int]) -> Iterator[WorkItem]:
    """Everything that blocks lack, so ordered that at any time only one of them is there in part.

    Args:
        writer: of the store.
        blocks: which. Of a store that does not grow the next one is asked for only when its first item is: with several
            processes, a block that is asked for is one that no other process may take.
    """
    # A generator, not a list: a worker claims a block by asking for it, and claims that it need not have yet are work that the
    # others cannot take.
    lacking = (each for block in blocks for each in _lacking(writer, block))
    if not writer.grows:
        yield from _cut(lacking, writer.layout)
        return
    # New images want everything, old ones new taps in old views and everything in new views: three kinds at most.
    kinds: dict[tuple[tuple[int, ...], tuple[str, ...]], list[_Lack]] = {}
    for each in lacking:
        kinds.setdefault((each.part.views, each.part.taps), []).append(each)
    items = [item for lacks in kinds.values() for item in _cut(lacks, writer.layout)]
    # An item with single rows of many blocks comes with the first of these, and the others' rows wait in it for their block: were
    # they put in place at once, one new image a block would have 32 blocks lie in memory half full. Python's sort is stable, so
    # that items of one kind stay in the order of rows.
    yield from sorted(items, key=lambda item: item.pieces[0].block)


@dataclass(frozen=True)
class _Lack:
    """A part of what a block lacks, and the rows of all parts."""

    block: int
    part: Part
    lacking: int


def _lacking(writer: BlockWriter, block: int) -> list[_Lack]:
    # Where all rows are in an older store, in other blocks, a block is new and lacks nothing.
    parts = writer.parts(block) or [Part(np.empty(0, int), (), ())]
    lacking = sum(len(part.rows) for part in parts)
    return [_Lack(block, part, lacking) for part in parts]


def _cut(lacks: Iterable[_Lack], layout: Layout) -> Iterator[WorkItem]:
    """Items of what is lacking, all in the same views and taps; a part that is a whole block begins and ends with an item."""
    rows: list[int] = []
    pieces: list[Piece] = []
    for lack in lacks:
        part, (start, stop) = lack.part, layout.block_range(lack.block)
        if not len(part.rows):
            yield WorkItem([], (), (), (Piece(lack.block, slice(0, 0), slice(0, 0), 0),))
            continue
        # What else is in a batch may change the last bit of a feature (libraries choose kernels by the size of a batch): a block
        # that is computed as a whole has the bits that it has in a new store.
        whole = len(part.rows) == stop - start
        if whole and rows:
            yield WorkItem(rows, part.views, part.taps, tuple(pieces))
            rows, pieces = [], []
        done = 0
        while done < len(part.rows):
            more = part.rows[done : done + BATCH_ROWS - len(rows)]
            source, target = slice(len(rows), len(rows) + len(more)), _positions(more - start)
            pieces.append(Piece(lack.block, source, target, lack.lacking))
            rows, done = rows + more.tolist(), done + len(more)
            if len(rows) == BATCH_ROWS or (whole and done == len(part.rows)):
                yield WorkItem(rows, part.views, part.taps, tuple(pieces))
                rows, pieces = [], []
    if rows:
        yield WorkItem(rows, part.views, part.taps, tuple(pieces))


def _positions(rows: np.ndarray) -> np.ndarray | slice:
    """Neighbours as a slice, with which NumPy copies whole pieces instead of row by row."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
