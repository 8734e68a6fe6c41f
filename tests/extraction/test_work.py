"""Work items: every row has an address, whole blocks have batches of their own, and one block at a time is there in part."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from udta.extraction._work import work_items
from udta.store import BATCH_ROWS, Part

ROWS = 64
KINDS = [((0, 1), ("a", "b")), ((0,), ("b",)), ((1,), ("a", "b"))]


@dataclass
class Writer:
    """Of blocks of 64 rows, which lack the parts given."""

    lacks: list[list[Part]]
    grows: bool = True
    asked: list[int] = field(default_factory=list)

    @property
    def layout(self):
        return SimpleNamespace(block_range=lambda block: (block * ROWS, (block + 1) * ROWS))

    def parts(self, block):
        self.asked.append(block)
        return self.lacks[block]


def part(block, kind, positions):
    return Part(np.array(sorted(positions), int) + block * ROWS, *KINDS[kind])


positions = st.sets(st.integers(0, ROWS - 1), max_size=6) | st.just(set(range(ROWS)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(positions, min_size=3, max_size=3), min_size=1, max_size=12))
def test_a_growing_store_gets_every_row_once_and_blocks_in_turn(blocks):
    lacks = [[part(block, kind, some) for kind, some in enumerate(kinds) if some] for block, kinds in enumerate(blocks)]
    items = list(work_items(Writer(lacks), range(len(blocks))))
    found = {}
    for item in items:
        assert len(item.rows) <= BATCH_ROWS
        assert sum(map(len, item.pieces)) == len(item.rows)
        for piece in item.pieces:
            rows = item.rows[piece.source]
            assert np.arange(piece.block * ROWS, (piece.block + 1) * ROWS)[piece.target].tolist() == rows
            found.setdefault(piece.block, []).extend((row, item.views, item.taps) for row in rows)
            assert piece.lacking == sum(len(each.rows) for each in lacks[piece.block])
    expected = {
        block: sorted((row, each.views, each.taps) for each in parts for row in each.rows.tolist())
        for block, parts in enumerate(lacks)
    }
    assert {block: sorted(rows) for block, rows in found.items()} == expected
    first = [item.pieces[0].block for item in items]
    assert first == sorted(first)


def test_single_rows_share_a_batch_and_whole_blocks_do_not():
    lacks = [[part(0, 0, {3})], [part(1, 0, range(ROWS))], [part(2, 0, {5})], []]
    items = list(work_items(Writer(lacks), range(4)))
    assert [[piece.block for piece in item.pieces] for item in items] == [[0], [1], [1], [2], [3]]
    items = list(work_items(Writer([lacks[0], lacks[2][:0], [part(2, 0, {5})]]), range(3)))
    assert [[piece.block for piece in item.pieces] for item in items] == [[0, 2], [1]]


def test_a_block_is_asked_for_when_its_first_item_is():
    writer = Writer([[part(block, 0, range(ROWS))] for block in range(3)], grows=False)
    items = work_items(writer, range(3))
    for number in range(6):
        assert next(items).pieces[0].block == number // 2
        assert writer.asked == list(range(number // 2 + 1))
