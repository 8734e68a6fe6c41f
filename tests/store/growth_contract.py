"""What a store promises when images, views or taps change."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from engine_contract import EngineContract
from made_stores import TAPS, feature, growing_layout, make_hashes, make_layout, tree, write_missing, write_store

from udta.errors import StaleStoreError
from udta.store import ENGINES, StoreWriter, open_store


class GrowthContract(EngineContract):
    """Only what is new is computed, and the result is the store that would have been made at once."""

    def grow(self, path, layout, hashes, writes=None, **policy):
        """Write what is missing of a store, as extraction does; returns the number of (row, view, tap) computed."""
        with StoreWriter(path, layout, hashes, **policy) as writer:
            return write_missing(writer, hashes, writes)

    def expect(self, path, layout, hashes):
        store = open_store(path)
        assert store.complete
        assert store.ids.tolist() == list(layout.ids)
        for tap, values in store.read(np.arange(len(layout))).items():
            for row, views in enumerate(values):
                for view, value in enumerate(views):
                    np.testing.assert_array_equal(value, feature(layout.taps[tap], hashes[row], view))
        whole = path.with_name("at-once")
        shutil.rmtree(whole, ignore_errors=True)
        self.grow(whole, layout, hashes)
        assert tree(path) == tree(whole)
        assert not list(path.parent.glob(".*"))

    def test_new_changed_removed_and_renamed_images_cost_only_what_is_new(self, path, layout):
        hashes = make_hashes(layout)
        assert self.grow(path, layout, hashes) == 10 * 2 * 2
        larger = make_layout(12)
        assert self.grow(path, larger, make_hashes(larger)) == 2 * 2 * 2
        self.expect(path, larger, make_hashes(larger))
        changed = [*make_hashes(larger)[:3], "f" * 64, *make_hashes(larger)[4:]]
        assert self.grow(path, larger, changed) == 2 * 2
        self.expect(path, larger, changed)
        smaller = replace(larger, ids=larger.ids[2:], labels=larger.labels[2:], splits=larger.splits[2:])
        with pytest.raises(StaleStoreError, match=r"removes 2 of 12 rows.*dog/0\.png, cat/1\.png"):
            self.grow(path, smaller, changed[2:])
        assert self.grow(path, smaller, changed[2:], prune=True) == 0
        self.expect(path, smaller, changed[2:])
        renamed = replace(smaller, ids=("aaa.png", *smaller.ids[1:]))
        assert self.grow(path, renamed, changed[2:]) == 0
        self.expect(path, renamed, changed[2:])

    def test_rows_that_were_skipped_are_missing_again_when_they_are_retried(self, path, layout):
        hashes = make_hashes(layout)
        with StoreWriter(path, layout, hashes) as writer:
            for block in writer.missing:
                writer.write(block, self.features(layout, hashes, block), {5: "cannot be read"} if block == 1 else {})
        with StoreWriter(path, layout, hashes) as writer:
            assert writer.missing == []
        with StoreWriter(path, layout, hashes, retry_skipped=True) as writer:
            assert [part.rows.tolist() for block in writer.missing for part in writer.parts(block)] == [[5]]
        assert self.grow(path, layout, hashes, retry_skipped=True) == 2 * 2
        self.expect(path, layout, hashes)

    def test_retrying_drops_what_an_interrupted_growth_skipped(self, path, layout):
        hashes = make_hashes(layout)
        self.grow(path, layout, hashes)
        larger = make_layout(20)
        with StoreWriter(path, larger, make_hashes(larger)) as writer:
            writer.write(3, self.features(larger, make_hashes(larger), 3), {12: "cannot be read"})
        with StoreWriter(path, larger, make_hashes(larger)) as writer:
            assert writer.missing == [2, 4]
        with StoreWriter(path, larger, make_hashes(larger), retry_skipped=True) as writer:
            assert writer.missing == [2, 3, 4]

    def features(self, layout, hashes, block):
        rows = range(*layout.block_range(block))
        return {
            name: np.stack([[feature(tap, hashes[row], view) for view in range(layout.n_views)] for row in rows])
            for name, tap in layout.taps.items()
        }

    def test_another_tap_and_more_views_compute_those_alone(self, path):
        hashes = make_hashes(make_layout())
        first = growing_layout(TAPS[:1], 1)
        assert self.grow(path, first, hashes) == 10
        more_views = growing_layout(TAPS[:1], 3)
        assert self.grow(path, more_views, hashes) == 20
        self.expect(path, more_views, hashes)
        both = growing_layout(TAPS, 3)
        assert self.grow(path, both, hashes) == 30
        self.expect(path, both, hashes)
        with pytest.raises(StaleStoreError, match="views/count: stored 3, asked 1"):
            self.grow(path, growing_layout(TAPS, 1), hashes)
        with pytest.raises(StaleStoreError, match="taps/head"):
            self.grow(path, growing_layout(TAPS[:1], 3), hashes)

    def test_an_interrupted_growth_is_continued_and_the_old_store_stays_readable(self, path, layout):
        hashes = make_hashes(layout)
        self.grow(path, layout, hashes)
        changed = ["e" * 64, *hashes[1:9], "f" * 64]
        assert self.grow(path, layout, changed, writes=1) == 2 * 2
        assert open_store(path).hashes[layout.ids[0]] == hashes[0]
        assert self.grow(path, layout, changed) == 2 * 2
        self.expect(path, layout, changed)
        self.grow(path, layout, hashes, writes=1)
        assert self.grow(path, layout, changed) == 0  # the growth is not wanted any more
        self.expect(path, layout, changed)

    def test_an_unfinished_store_grows_too(self, path, layout):
        write_store(path, layout, blocks=[0])
        larger = make_layout(12)
        with StoreWriter(path, larger, make_hashes(larger)) as writer:
            assert writer.missing == [1, 2]

    def test_another_format_is_refused(self, path, layout):
        write_store(path, layout)
        other = next(name for name in ENGINES if name != self.format)
        with pytest.raises(StaleStoreError, match="format: stored"):
            StoreWriter(path, layout, make_hashes(layout), format=other)
        with StoreWriter(path, layout, make_hashes(layout), format=None) as writer:
            assert writer.missing == []
