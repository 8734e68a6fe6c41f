"""The HDF5 engine: the contract, and what a stranger sees."""

import h5py
import numpy as np
import pytest
from made_stores import all_features, make_layout, write_store
from store_contract import StoreContract

from udta.errors import CorruptStoreError
from udta.store import open_store


class TestHdf5(StoreContract):
    format = "hdf5"

    def some_file_of_block(self, path, block):
        return path / "blocks" / f"{block:06d}.h5"

    def as_a_stranger_sees(self, path, tap):
        with h5py.File(path / "index.h5") as file:
            return file[f"taps/{tap}"][:]

    def test_h5py_reads_it_without_us(self, path, layout, monkeypatch):
        write_store(path, layout)
        monkeypatch.chdir("/")  # block files are found beside the index, wherever one stands
        with h5py.File(path / "index.h5") as file:
            for tap, values in all_features(layout).items():
                assert file[f"taps/{tap}"].shape == values.shape
                np.testing.assert_array_equal(file[f"taps/{tap}"][:], values)
            assert file["id"].asstr()[:].tolist() == list(layout.ids)
            assert file["label"][:].tolist() == layout.labels.tolist()
            assert file["split"].asstr()[:].tolist() == list(layout.splits)
            assert file.attrs["format"] == "udta-store"
            assert file.attrs["classes"] == '["dog", "cat"]'

    def test_a_block_that_was_never_written_is_nan_for_a_reader_without_our_ledger(self, path, layout):
        write_store(path, layout, blocks=[0])
        with h5py.File(path / "index.h5") as file:
            assert np.isnan(file["taps/head"][4:]).all()

    def test_a_moved_store_reads_the_same(self, path, layout):
        write_store(path, layout)
        moved = path.rename(path.with_name("elsewhere"))
        np.testing.assert_array_equal(open_store(moved).read([9])["head"], all_features(layout)["head"][[9]])
        with h5py.File(moved / "index.h5") as file:
            np.testing.assert_array_equal(file["taps/head"][9], all_features(layout)["head"][9])

    def test_attributes_of_any_length_fit(self, path):
        layout = make_layout(classes=tuple(f"a class with a long name {index}" for index in range(5000)))
        write_store(path, layout)
        assert open_store(path).classes == layout.classes

    def test_damaged_metadata_of_a_block_never_reaches_the_hdf5_library(self, path, layout):
        write_store(path, layout)
        file = self.some_file_of_block(path, 1)
        content = bytearray(file.read_bytes())
        content[40] ^= 1  # in the superblock
        file.write_bytes(bytes(content))
        with pytest.raises(CorruptStoreError, match="damaged metadata"):
            open_store(path).read([4])
