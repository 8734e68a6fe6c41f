"""HDF5 files of a stranger: values lie in the very file, as many as it says."""

import h5py
import numpy as np
import pytest
from foreign_stores import edit_record, refused, reseal
from made_stores import make_layout, write_store

from udta.store._hdf5_engine import _crc_outside
from udta.store._hdf5_files import read_texts


def external_raw(file, name, path):
    data = file[name][:]
    del file[name]
    file.create_dataset(name, data.shape, data.dtype, external=[(str(path), 0, h5py.h5f.UNLIMITED)])


def external_link(file, name, path):
    with h5py.File(path, "w") as other:
        other["x"] = np.arange(10)
    del file[name]
    file[name] = h5py.ExternalLink(str(path), "/x")


def soft_link(file, name, path):
    file["other"] = file[name][:]
    del file[name]
    file[name] = h5py.SoftLink("/other")


def virtual(file, name, path):
    with h5py.File(path, "w") as other:
        other["x"] = np.arange(10)
    layout = h5py.VirtualLayout((10,), "i8")
    layout[:] = h5py.VirtualSource(str(path), "x", (10,))
    del file[name]
    file.create_virtual_dataset(name, layout)


def never_written(file, name, path):
    del file[name]
    file.create_dataset(name, (10**12,), "i8", chunks=(1024,))


@pytest.mark.parametrize("change", [external_raw, external_link, soft_link, virtual, never_written])
def test_hdf5_values_lie_in_the_very_file(tmp_path, change):
    write_store(tmp_path / "s", make_layout(), format="hdf5")
    (tmp_path / "secret").write_bytes(bytes(range(200)))
    with h5py.File(tmp_path / "s" / "index.h5", "a") as file:
        change(file, "label", tmp_path / "secret")
    reseal(tmp_path / "s")
    refused(tmp_path / "s", r"'label' (has its values in other files|is not there, or a link|claims more values)")


@pytest.mark.parametrize("change", [external_raw, external_link, virtual])
def test_compressed_hdf5_blocks_lie_in_the_very_file(tmp_path, change):
    write_store(tmp_path / "s", make_layout(codec="gzip"), format="hdf5")
    (tmp_path / "secret").write_bytes(bytes(4096))
    block = tmp_path / "s" / "blocks" / "000000.h5"
    with h5py.File(block, "a") as file:
        change(file, "taps/head", tmp_path / "secret")

    def consistent(document):
        document["note"] |= {
            "size": block.stat().st_size,
            "chunks": {tap: [[0, 0], [0, 0]] for tap in document["note"]["chunks"]},
        }
        document["note"]["crc"] = _crc_outside(block, ((0, 0),) * 4)

    edit_record(tmp_path / "s", 0, consistent)
    refused(tmp_path / "s", "other files|or a link")


def test_many_texts_of_hdf5_cannot_be_one_and_the_same(tmp_path):
    """A file of some kilobytes would become gigabytes."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("id", data=np.array(["x" * 5000, *"abcdefghi"], dtype=object), dtype=h5py.string_dtype())
        offset = file["id"].id.get_offset()
    content = bytearray((tmp_path / "x.h5").read_bytes())
    content[offset : offset + 160] = 10 * content[offset : offset + 16]
    (tmp_path / "x.h5").write_bytes(content)
    with h5py.File(tmp_path / "x.h5") as file:
        assert sum(map(len, file["id"].asstr()[:])) > len(content)
        with pytest.raises(ValueError, match="more text than the file has"):
            read_texts(file, "id")


def test_hdf5_notes_stay_in_their_file(tmp_path):
    write_store(tmp_path / "s", make_layout(), format="hdf5")
    edit_record(tmp_path / "s", 0, lambda d: d["note"]["chunks"]["head"].__setitem__(0, [10**15, 80]))
    refused(tmp_path / "s", "outside the file")
