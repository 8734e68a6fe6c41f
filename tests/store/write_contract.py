"""What a store promises to writers."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from engine_contract import EngineContract
from made_stores import all_features, block_features, make_hashes, make_layout, tree, typed_layout, write_store

from udta.errors import FeatureError, NotAStoreError, StaleStoreError, StoreBusyError, StoreError, UncommittedRowError
from udta.fingerprint import Fingerprint
from udta.store import StoreWriter, open_store, value_dtype


class WriteContract(EngineContract):
    """Nothing half-written is ever read, and what does not fit is refused."""

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
        whole = path.with_name("whole")
        write_store(whole, layout)
        assert tree(path) == tree(whole)

    def test_leftovers_of_a_killed_writer_are_swept(self, path, layout):
        write_store(path, layout, blocks=[0])
        chunk = self.some_file_of_block(path, 0)
        chunk.with_name(f"{chunk.name}.deadbeef.partial").write_bytes(b"half")
        (path / ".metadata.1.partial").mkdir()
        (path / "ledger" / "000001").mkdir()
        (path / "ledger" / "000001" / ".record.1.partial").write_bytes(b"{")
        leftover = path.parent / f".{path.name}.abc.new"
        leftover.mkdir()
        write_store(path, layout)
        assert not list(path.parent.rglob("*.partial"))
        with StoreWriter(path.with_name("features2"), layout, make_hashes(layout)):
            pass
        assert open_store(path).complete

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

    @pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16", "uint8"])
    def test_rows_of_skipped_images_are_nan_for_a_reader_without_our_ledger(self, path, dtype):
        layout = typed_layout(dtype)
        with StoreWriter(path, layout, make_hashes(layout)) as writer:
            writer.write(1, block_features(layout, 1), {5: "truncated"})
        values = self.as_a_stranger_sees(path, "head")[4:8]
        fill = (values == 0) if dtype == "uint8" else np.isnan(values.view(value_dtype(dtype)).astype("float32"))
        assert fill.all(axis=(1, 2)).tolist() == [False, True, False, False]

    def test_another_fingerprint_is_refused_with_a_field_diff(self, path, layout):
        write_store(path, layout)
        other = replace(layout, fingerprint=Fingerprint({**layout.fingerprint.fields, "backbone": {"weights": "bb"}}))
        before = tree(path)
        with pytest.raises(StaleStoreError, match='backbone/weights: stored "aa", asked "bb"') as caught:
            write_store(path, other)
        assert len(caught.value.differences) == 1
        assert tree(path) == before

    def test_wholly_other_samples_are_refused(self, path, layout):
        write_store(path, layout)
        others = [f"{row + 100:064x}" for row in range(10)]
        with pytest.raises(StaleStoreError, match="none of those asked for"):
            StoreWriter(path, layout, others)

    def test_replace_makes_a_stale_store_anew_and_leaves_nothing_behind(self, path, layout):
        write_store(path, layout)
        other = replace(make_layout(6), fingerprint=Fingerprint({"feature_version": 2}))
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
        monkeypatch.setattr("udta.store._folder_lock.PATIENCE_S", 0.1)
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
            with pytest.raises(FeatureError, match=r"dog/6\.png: tap 'stage1\.0' (is NaN|overflows float16)"):
                writer.write(1, features)
        with pytest.raises(UncommittedRowError):
            open_store(path).read([4])

    def test_a_store_that_never_got_a_block_is_removed_again(self, path, layout):
        features = block_features(layout, 0)
        features["head"][:] = np.nan
        with pytest.raises(FeatureError), StoreWriter(path, layout, make_hashes(layout)) as writer:
            writer.write(0, features)
        assert list(path.parent.iterdir()) == []
