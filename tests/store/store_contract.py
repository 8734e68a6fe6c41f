"""What every store engine promises. An engine's test module inherits `StoreContract`."""

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
from udta.store import ENGINES, Layout, Quantiser, StoreWriter, engine_at, open_store, stored_dtype, value_dtype

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
        tap.name: random_features(rng, (stop - start, layout.n_views, *tap.shape), tap.dtype)
        for tap in layout.taps.values()
    }


def random_features(rng, shape, dtype):
    """As stored: finite values of any storage type."""
    if dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    values = rng.standard_normal(shape)
    return values.astype(value_dtype(dtype)).view(stored_dtype(dtype))


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
    """Inherit and run for one engine: `format` is its name."""

    format: str

    @pytest.fixture(autouse=True)
    def _this_engine(self, monkeypatch):
        """Writers that do not ask for a format make stores of this engine."""
        monkeypatch.setattr("udta.store.writer.DEFAULT_FORMAT", self.format)

    @pytest.fixture
    def layout(self):
        return make_layout()

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "features"

    def some_file_of_block(self, path, block):
        """A file that holds features of a block."""
        raise NotImplementedError

    def record(self, path, block):
        return next((path / "ledger" / f"{block:06d}").iterdir())

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
        chunk = self.some_file_of_block(path, 1)
        chunk.write_bytes(chunk.read_bytes()[:-3])
        with pytest.raises(CorruptStoreError, match=r"block.*--repair"):
            open_store(path).read([4])
        chunk.unlink()
        with pytest.raises(CorruptStoreError, match="missing"):
            open_store(path).read([4])

    def test_a_damaged_record_is_named(self, path, layout):
        write_store(path, layout)
        record = self.record(path, 1)
        record.write_text(record.read_text()[:40])
        with pytest.raises(CorruptStoreError, match="ledger record cannot be read"):
            open_store(path)

    def test_a_record_that_was_edited_or_moved_is_refused(self, path, layout):
        write_store(path, layout)
        record = self.record(path, 1)
        original = record.read_text()
        record.write_text(original.replace("cat/5.png", "cat/6.png"))
        with pytest.raises(CorruptStoreError, match="checksum does not fit"):
            open_store(path)
        record.write_text(self.record(path, 0).read_text())
        with pytest.raises(CorruptStoreError, match="that of block 0"):
            open_store(path)

    def test_damaged_metadata_is_an_error_and_extracting_again_mends_it(self, path, layout):
        write_store(path, layout)
        before = tree(path)
        for name in [name for name in before if "ledger" not in name and "/c." not in name and "blocks" not in name]:
            content = bytearray(before[name])
            content[len(content) // 2] ^= 4
            (path / name).write_bytes(bytes(content))
            with pytest.raises(CorruptStoreError, match="missing or changed"):
                open_store(path)
            with StoreWriter(path, layout, make_hashes(layout)) as writer:
                assert writer.missing == []
            assert tree(path) == before

    def test_an_interrupted_change_of_labels_is_an_error_until_it_is_finished(self, path, layout):
        write_store(path, layout)
        engine_at(path).ledger.break_seal(layout.attributes())
        with pytest.raises(CorruptStoreError, match="interrupted"):
            open_store(path)
        write_store(path, layout)
        assert open_store(path).complete

    def test_a_store_of_a_newer_format_is_refused_by_name(self, path, layout, monkeypatch):
        monkeypatch.setattr("udta.store.layout.FORMAT_VERSION", 99)
        write_store(path, layout)
        with pytest.raises(NotAStoreError, match="newer"):
            open_store(path)

    # --- storage types and codecs

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_every_float_type_reads_back_bit_exactly_and_converts(self, path, dtype):
        layout = typed_layout(dtype)
        write_store(path, layout)
        stored = all_features(layout)["head"]
        values = open_store(path).read(range(10))["head"]
        assert values.dtype == value_dtype(dtype)
        np.testing.assert_array_equal(values.view(stored.dtype), stored)
        np.testing.assert_array_equal(
            open_store(path).read(range(10), dtype="float32")["head"], values.astype(np.float32)
        )

    def test_uint8_gives_codes_and_with_a_dtype_values(self, path):
        rng = np.random.default_rng(0)
        quantisers = {tap.name: Quantiser.fit(rng.standard_normal((20, *tap.shape)).astype(np.float32)) for tap in TAPS}
        layout = replace(typed_layout("uint8"), quantisers=quantisers)
        write_store(path, layout)
        codes, store = all_features(layout)["stage1.0"], open_store(path)
        np.testing.assert_array_equal(store.read(range(10))["stage1.0"], codes)
        scale, offset = (getattr(quantisers["stage1.0"], name).reshape(3, 1, 1) for name in ("scale", "offset"))
        expected = codes.astype(np.float32) * scale + offset
        np.testing.assert_allclose(store.read(range(10), dtype="float32")["stage1.0"], expected, rtol=1e-6, atol=1e-6)
        assert store.layout.quantisers == quantisers

    def test_every_codec_reads_back_bit_exactly(self, path, layout):
        for codec in ENGINES[self.format].codecs:
            place = path.with_name(codec)
            compressed = replace(layout, codec=codec)
            write_store(place, compressed)
            for tap, values in open_store(place).read(np.arange(10)).items():
                np.testing.assert_array_equal(values, all_features(layout)[tap])
        with pytest.raises(ConfigError, match="codec"):
            write_store(path, replace(layout, codec="lz5"))

    def test_more_chunks_than_the_kernel_maps_read_the_same(self, path, layout, monkeypatch):
        write_store(path, layout)
        expected = open_store(path).read([9, 0, 5])
        monkeypatch.setattr("udta.store.rows.MOST_MAPPINGS", 1)
        for tap, values in open_store(path).read([9, 0, 5]).items():
            np.testing.assert_array_equal(values, expected[tap])

    # --- growing

    def grow(self, path, layout, hashes, writes=None):
        """Write what is missing of a store, as extraction does; returns the number of (row, view, tap) computed."""
        computed = 0
        with StoreWriter(path, layout, hashes) as writer:
            for block in writer.missing[:writes]:
                start, stop = layout.block_range(block)
                features = {
                    name: np.zeros((stop - start, layout.n_views, *tap.shape), stored_dtype(tap.dtype))
                    for name, tap in layout.taps.items()
                }
                writer.recall(block, features)
                for part in writer.parts(block):
                    for tap in part.taps:
                        for view in part.views:
                            for row in part.rows:
                                features[tap][row - start, view] = feature(layout.taps[tap], hashes[row], view)
                                computed += 1
                writer.write(block, features)
        return computed

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
        assert self.grow(path, smaller, changed[2:]) == 0
        self.expect(path, smaller, changed[2:])
        renamed = replace(smaller, ids=("aaa.png", *smaller.ids[1:]))
        assert self.grow(path, renamed, changed[2:]) == 0
        self.expect(path, renamed, changed[2:])

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
        other = "hdf5" if self.format == "zarr" else "zarr"
        with pytest.raises(StaleStoreError, match="format: stored"):
            StoreWriter(path, layout, make_hashes(layout), format=other)
        with StoreWriter(path, layout, make_hashes(layout), format=None) as writer:
            assert writer.missing == []


def typed_layout(dtype):
    taps = {tap.name: replace(tap, dtype=dtype) for tap in TAPS}
    return replace(make_layout(), taps=taps)


def growing_layout(taps, views, ids=None):
    """A layout whose fingerprint says taps and views as an extraction's does."""
    fields = {
        "taps": {tap.name: {"reducer": tap.reducer, "shape": list(tap.shape)} for tap in taps},
        "views": {"count": views, "seed": 0},
    }
    layout = make_layout(len(ids) if ids else 10, views)
    return replace(
        layout,
        ids=ids or layout.ids,
        taps={tap.name: tap for tap in taps},
        fingerprint=Fingerprint(fields),
    )


def feature(tap, content, view):
    """What a backbone would give for an image of this content."""
    rng = np.random.default_rng([int(content, 16) % 2**31, view, len(tap.name)])
    return random_features(rng, tap.shape, tap.dtype)
