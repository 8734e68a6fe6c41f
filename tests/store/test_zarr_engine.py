"""The Zarr engine: the contract, and what a stranger sees."""

import numpy as np
import zarr
from made_stores import all_features, make_hashes, make_layout, write_store
from store_contract import StoreContract

from udta.store import StoreWriter, open_store


class TestZarr(StoreContract):
    format = "zarr"

    def some_file_of_block(self, path, block):
        return path / "taps" / "head" / f"c.{block}.0.0"

    def as_a_stranger_sees(self, path, tap):
        return zarr.open_group(path, mode="r")[f"taps/{tap}"][:]

    def test_zarr_python_reads_it_without_us(self, path, layout):
        write_store(path, layout)
        group = zarr.open_group(path, mode="r")
        for tap, values in all_features(layout).items():
            array = group[f"taps/{tap}"]
            assert array.shape == values.shape
            assert array.chunks == (4, 1, *values.shape[2:])
            np.testing.assert_array_equal(array[:], values)
        assert group["id"][:].tolist() == list(layout.ids)
        assert group["label"][:].tolist() == layout.labels.tolist()
        assert group["split"][:].tolist() == list(layout.splits)
        assert group.attrs["classes"] == ["dog", "cat"]
        assert group.attrs["fingerprint"] == layout.fingerprint.fields
        assert [tap["name"] for tap in group.attrs["taps"]] == list(layout.taps)

    def test_a_block_that_was_never_written_is_nan_for_a_reader_without_our_ledger(self, path, layout):
        write_store(path, layout, blocks=[0])
        assert np.isnan(zarr.open_group(path, mode="r")["taps/head"][4:]).all()

    def test_every_chunk_is_one_file_of_plain_rows(self, path, layout):
        write_store(path, layout)
        values = np.fromfile(path / "taps" / "head" / "c.2.1.0", dtype="<f4").reshape(4, 5)
        np.testing.assert_array_equal(values[:2], all_features(layout)["head"][8:, 1])

    def test_all_zero_features_are_stored_like_any_others(self, path, layout):
        zeros = {tap.name: np.zeros((4, 2, *tap.shape), tap.dtype) for tap in layout.taps.values()}
        with StoreWriter(path, layout, make_hashes(layout)) as writer:
            writer.write(0, zeros)
        assert (open_store(path).read([0, 3])["head"] == 0).all()


def test_one_row_one_view_one_block(tmp_path):
    layout = make_layout(1, views=1)
    write_store(tmp_path / "s", layout)
    np.testing.assert_array_equal(open_store(tmp_path / "s").read([0])["head"], all_features(layout)["head"])
