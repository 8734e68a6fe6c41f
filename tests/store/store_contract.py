"""What every store engine promises. An engine's test module inherits `StoreContract`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from udta.errors import (
    ConfigError,
    CorruptStoreError,
    FeatureError,
    NotAStoreError,
    StaleStoreError,
    StoreBusyError,
    StoreError,
    UncommittedRowError,
)
from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, StoreWriter, open_store

TAPS = (TapSpec("stage1.0", "grid(2)", (3, 2, 2), "float16"), TapSpec("head", "avg", (5,), "float32"))


def make_layout(n=10, views=2, block_rows=4, **changes):
    fields = {"feature_version": 1, "backbone": {"weights": "aa"}, "views": {"count": views, "seed": 0}}
    layout = Layout(
        ids=tuple(f"cat/{row}.png" if row % 2 else f"dog/{row}.png" for row in range(n)),
        labels=np.arange(n) % 2,
        splits=tuple("test" if row % 3 == 0 else "train" for row in range(n)),
        classes=("dog", "cat"),
        taps={tap.name: tap for tap in TAPS},
        n_views=views,
        block_rows=block_rows,
        fingerprint=Fingerprint(fields),
        split_rule="file",
        source={"images": "photos"},
    )
    return replace(layout, **changes)


def make_hashes(layout):
    return [f"{row:064x}" for row in range(len(layout))]


def block_features(layout, block, seed=0):
    start, stop = layout.block_range(block)
    rng = np.random.default_rng([seed, block])
    return {
        tap.name: rng.standard_normal((stop - start, layout.n_views, *tap.shape)).astype(tap.dtype)
        for tap in layout.taps.values()
    }


def all_features(layout, seed=0):
    blocks = [block_features(layout, block, seed) for block in range(layout.n_blocks)]
    return {tap: np.concatenate([block[tap] for block in blocks]) for tap in layout.taps}


def write_store(path, layout, blocks=None, **options):
    with StoreWriter(path, layout, make_hashes(layout), **options) as writer:
        for block in writer.missing if blocks is None else blocks:
            writer.write(block, block_features(layout, block))


def tree(path: Path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


class StoreContract:
    """Inherit and run for one engine."""

    @pytest.fixture
    def layout(self):
        return make_layout()

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "features.zarr"

    # --- reading what was written

    def test_every_row_tap_and_view_reads_back_bit_exactly(self, path, layout):
        write_store(path, layout)
        store, expected = open_store(path), all_features(layout)
        rows = np.random.default_rng(0).permutation(len(layout))
        for tap, values in store.read(rows).items():
            assert values.dtype == layout.taps[tap].dtype
            np.testing.assert_array_equal(values, expected[tap][rows])

    def test_read_selects_taps_views_and_dtype_and_keeps_the_order_asked(self, path, layout):
        write_store(path, layout)
        values = open_store(path).read([7, 0, 7], taps=["head"], views=[1], dtype="float64")
        assert list(values) == ["head"]
        assert values["head"].dtype == np.float64
        np.testing.assert_array_equal(values["head"], all_features(layout)["head"][[7, 0, 7]][:, [1]])

    def test_columns_and_attributes_come_back(self, path, layout):
        write_store(path, layout)
        store = open_store(path)
        assert store.ids.tolist() == list(layout.ids)
        assert store.splits.tolist() == list(layout.splits)
        np.testing.assert_array_equal(store.labels, layout.labels)
        assert store.labels.dtype == np.int64
        assert store.classes == layout.classes
        assert store.fingerprint == layout.fingerprint
        assert store.taps == layout.taps
        assert store.complete
        assert len(store) == 10

    def test_rows_of_a_split_are_ascending_and_an_unknown_split_is_named(self, path, layout):
        write_store(path, layout)
        store = open_store(path)
        assert store.rows("test").tolist() == [0, 3, 6, 9]
        with pytest.raises(ConfigError, match="did you mean 'train'"):
            store.rows("trian")

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"rows": [10]}, IndexError),
            ({"rows": [-1]}, IndexError),
            ({"rows": [0.5]}, ConfigError),
            ({"rows": [0], "taps": ["haed"]}, ConfigError),
            ({"rows": [0], "views": [2]}, ConfigError),
        ],
    )
    def test_what_is_not_there_is_an_error(self, path, layout, arguments, error):
        write_store(path, layout)
        with pytest.raises(error):
            open_store(path).read(**arguments)

    def test_reading_no_rows_gives_empty_arrays(self, path, layout):
        write_store(path, layout)
        assert open_store(path).read([])["head"].shape == (0, 2, 5)

    # --- what is not committed does not exist

    def test_a_row_that_no_record_covers_is_an_error_never_zeros(self, path, layout):
        write_store(path, layout, blocks=[0, 2])
        store = open_store(path)
        assert not store.complete
        store.read([0, 3, 8])
        with pytest.raises(UncommittedRowError, match=r"row 5 .* \(6 of 10"):
            store.read([0, 5])
        with pytest.raises(UncommittedRowError):
            store.rows("train")

    def test_bytes_without_a_record_do_not_count(self, path, layout):
        write_store(path, layout)
        shutil.rmtree(path / "ledger" / "000001")
        with pytest.raises(UncommittedRowError):
            open_store(path).read([4])

    def test_writing_continues_with_the_missing_blocks_only(self, path, layout):
        write_store(path, layout, blocks=[1])
        with StoreWriter(path, layout, make_hashes(layout)) as writer:
            assert writer.missing == [0, 2]
        write_store(path, layout)
        whole = path.with_name("whole.zarr")
        write_store(whole, layout)
        assert tree(path) == tree(whole)

    def test_leftovers_of_a_killed_writer_are_swept(self, path, layout):
        write_store(path, layout, blocks=[0])
        (path / "taps" / "head" / "c.1.0.0.deadbeef.partial").write_bytes(b"half")
        (path / "ledger" / "000001").mkdir()
        (path / "ledger" / "000001" / ".zarr.json.1.partial").write_bytes(b"{")
        leftover = path.parent / f".{path.name}.abc.new"
        leftover.mkdir()
        write_store(path, layout)
        assert not list(path.parent.rglob("*.partial"))
        with StoreWriter(path.with_name("features.zarr2"), layout, make_hashes(layout)):
            pass
        assert open_store(path).complete

    # --- skipped images

    def test_a_skipped_row_keeps_its_place_and_is_never_delivered(self, path, layout):
        with StoreWriter(path, layout, make_hashes(layout)) as writer:
            for block in writer.missing:
                writer.write(block, block_features(layout, block), {5: "truncated"} if block == 1 else {})
        store = open_store(path)
        assert store.skipped == {5: "truncated"}
        assert 5 not in store.rows("train")
        np.testing.assert_array_equal(store.read([6])["head"], all_features(layout)["head"][[6]])
        with pytest.raises(UncommittedRowError, match=r"cat/5\.png.*truncated"):
            store.read([5])

    # --- refusals

    def test_another_fingerprint_is_refused_with_a_field_diff(self, path, layout):
        write_store(path, layout)
        other = replace(layout, fingerprint=Fingerprint({**layout.fingerprint.fields, "backbone": {"weights": "bb"}}))
        before = tree(path)
        with pytest.raises(StaleStoreError, match='backbone/weights: stored "aa", asked "bb"') as caught:
            write_store(path, other)
        assert len(caught.value.differences) == 1
        assert tree(path) == before

    def test_other_samples_are_refused_with_a_list(self, path, layout):
        write_store(path, layout)
        with pytest.raises(StaleStoreError, match=r"1 samples not stored: dog/10\.png"):
            write_store(path, make_layout(11))
        changed = [*make_hashes(layout)[:-1], "f" * 64]
        with pytest.raises(StaleStoreError, match=r"1 samples with other content: cat/9\.png"):
            StoreWriter(path, layout, changed)

    def test_replace_makes_a_stale_store_anew_and_leaves_nothing_behind(self, path, layout):
        write_store(path, layout)
        other = make_layout(6)
        write_store(path, other, if_stale="replace")
        assert len(open_store(path)) == 6
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_other_labels_and_splits_are_taken_over_without_recomputing(self, path, layout):
        write_store(path, layout)
        relabelled = replace(layout, labels=1 - layout.labels, classes=("a", "b"), splits=("train",) * 10)
        with StoreWriter(path, relabelled, make_hashes(layout)) as writer:
            assert writer.missing == []
        store = open_store(path)
        assert store.labels.tolist() == relabelled.labels.tolist()
        assert store.classes == ("a", "b")
        assert store.rows("train").size == 10

    def test_what_is_not_ours_is_left_alone(self, path, layout):
        path.mkdir()
        (path / "thesis.txt").write_text("precious")
        with pytest.raises(NotAStoreError, match="left as it is"):
            write_store(path, layout, if_stale="replace")
        assert tree(path) == {"thesis.txt": b"precious"}
        with pytest.raises(NotAStoreError):
            open_store(path)
        with pytest.raises(NotAStoreError, match="there is no store"):
            open_store(path.with_name("absent"))

    def test_a_path_below_a_file_cannot_be_written(self, tmp_path, layout):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            write_store(tmp_path / "file" / "store", layout)

    def test_a_second_writer_is_refused_and_the_first_goes_on(self, path, layout, monkeypatch):
        monkeypatch.setattr("udta.store.lock.PATIENCE_S", 0.1)
        with StoreWriter(path, layout, make_hashes(layout)) as first:
            first.write(0, block_features(layout, 0))
            with pytest.raises(StoreBusyError, match="being written"):
                StoreWriter(path, layout, make_hashes(layout))
            first.write(1, block_features(layout, 1))
        write_store(path, layout)
        assert open_store(path).complete

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_features_that_are_not_finite_are_never_committed(self, path, layout, value):
        features = block_features(layout, 1)
        features["stage1.0"][2, 1, 0, 0, 0] = value
        with StoreWriter(path, layout, make_hashes(layout)) as writer:
            writer.write(0, block_features(layout, 0))
            with pytest.raises(FeatureError, match=r"stage1\.0.*dog/6\.png.*float32"):
                writer.write(1, features)
        with pytest.raises(UncommittedRowError):
            open_store(path).read([4])

    def test_a_store_that_never_got_a_block_is_removed_again(self, path, layout):
        features = block_features(layout, 0)
        features["head"][:] = np.nan
        with pytest.raises(FeatureError), StoreWriter(path, layout, make_hashes(layout)) as writer:
            writer.write(0, features)
        assert list(path.parent.iterdir()) == []

    # --- damage

    def test_a_truncated_or_missing_chunk_is_an_error(self, path, layout):
        write_store(path, layout)
        chunk = next((path / "taps" / "head").glob("c.1.0*"))
        chunk.write_bytes(chunk.read_bytes()[:-3])
        with pytest.raises(CorruptStoreError, match="missing or too short"):
            open_store(path).read([4], taps=["head"])
        chunk.unlink()
        with pytest.raises(CorruptStoreError):
            open_store(path).read([4], taps=["head"])

    def test_a_damaged_record_is_named(self, path, layout):
        write_store(path, layout)
        record = path / "ledger" / "000001" / "zarr.json"
        record.write_text(record.read_text()[:40])
        with pytest.raises(CorruptStoreError, match="ledger record cannot be read"):
            open_store(path)

    def test_a_record_of_other_rows_is_refused(self, path, layout):
        write_store(path, layout)
        record = path / "ledger" / "000001" / "zarr.json"
        document = json.loads(record.read_text())
        document["attributes"]["samples"][0][0] = "cat/stranger.png"
        record.write_text(json.dumps(document))
        with pytest.raises(CorruptStoreError, match="other rows"):
            open_store(path)

    def test_damaged_metadata_is_an_error(self, path, layout):
        write_store(path, layout)
        document = json.loads((path / "zarr.json").read_text())
        del document["attributes"]["taps"]
        (path / "zarr.json").write_text(json.dumps(document))
        with pytest.raises(CorruptStoreError, match="metadata"):
            open_store(path)
