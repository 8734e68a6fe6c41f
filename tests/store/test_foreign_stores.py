"""Stores of a stranger: refused by their structure, before anything is read, followed, allocated or written elsewhere."""

import contextlib
import json
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
import zarr
from changed_documents import changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_stores import TAPS, make_layout, tree, write_store

from udta._files.names import document_problem, labels_problem, path_problem, tap_problem
from udta.errors import CorruptStoreError, StoreError, UdtaError
from udta.exporting import export
from udta.fingerprint import TapSpec
from udta.store import Quantiser, open_store
from udta.store._hdf5_engine import _crc_outside
from udta.store._hdf5_files import read_texts
from udta.store._ledger import _document, file_checksum
from udta.store._registry import engine_at
from udta.store.verify import verify

FORMATS = ("zarr", "hdf5")


@pytest.fixture(params=FORMATS)
def store(request, tmp_path):
    write_store(tmp_path / "s", make_layout(), format=request.param)
    return tmp_path / "s"


def reseal(path, attributes=None):
    """What anybody can do: make the checksums fit what stands there now."""
    ledger = engine_at(path).ledger
    sealed = {name: file_checksum(path / name) for name in ledger.sealed_files()}
    ledger.seal(sealed, attributes if attributes is not None else ledger.sealed_attributes())


def set_attributes(path, attributes):
    """Have a store say something else of itself, consistently."""
    if (path / "index.h5").exists():
        with h5py.File(path / "index.h5", "a") as file:
            for name, value in attributes.items():
                plain = isinstance(value, str) and name in ("format", "split_rule", "codec")
                number = type(value) is int and abs(value) < 2**63
                file.attrs[name] = value if plain or number else json.dumps(value)
    else:
        document = json.loads((path / "zarr.json").read_text())
        (path / "zarr.json").write_text(json.dumps({**document, "attributes": attributes}))
    reseal(path, attributes)


def edit_record(path, block, edit):
    ledger = engine_at(path).ledger
    document = ledger.record(block).to_json()
    edit(document)
    ledger.path(block).write_bytes(_document(document))


def refused(path, match=None):
    """Neither opening nor verifying says that all is well, or ends in anything but an error of ours."""
    with pytest.raises(CorruptStoreError, match=match):
        open_store(path).read(range(10))
    with contextlib.suppress(CorruptStoreError):
        assert not verify(path).sound


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "a/b", "..", ".", "", "a..b", "a\nb", "a\0b", "a\\b", "x.partial", "y" * 300]
)
def test_a_tap_that_leads_somewhere_is_refused_on_opening(store, tmp_path, name):
    attributes = engine_at(store).load().attributes()
    attributes["taps"][0]["name"] = name
    set_attributes(store, attributes)
    before = tree(tmp_path)
    refused(store, "tap cannot be called")
    for to in ("npy", "safetensors", "parquet", "zarr", "hdf5"):
        with pytest.raises(CorruptStoreError):
            export(store, to=to, out=tmp_path / "out" / "deep")
    assert tree(tmp_path) == before


def test_names_that_modules_have_are_taken():
    for name in (
        "features.13",
        "layer4.0.conv2",
        "blocks.11",
        "encoder.layers.encoder_layer_3",
        "stufe.größe",
        "a-b.c+d",
    ):
        assert tap_problem(name) is None


@pytest.mark.parametrize(
    "names",
    [["/etc/passwd"], ["a/../../b"], ["a/.."], [""], ["a\0b"], ["a//b"], ["a/"], ["./a"], ["a", "\ud800"], ["b/../c"]],
)
def test_names_of_images_that_are_no_relative_paths_are_refused(names):
    assert path_problem(["fine.png", *names])


def test_names_that_files_have_are_taken():
    names = [
        "a b/ü.png",
        "../lists/a.png",
        "../../x.png",
        "a\nb.png",
        "\x1b[31m.png",
        "..a/b..png",
        "a/...png",
        "c\\d.png",
    ]
    assert path_problem(names) is None
    assert path_problem([]) is None
    assert labels_problem(["a\tb", "=x"], "class") is None


def test_documents_are_shallow_and_finite():
    deep = 1.0
    for _ in range(40):
        deep = [deep]
    assert "nested" in document_problem({"a": deep})
    assert "finite" in document_problem({"a": [{"b": float("nan")}]})
    assert document_problem({"a": [{"b": 1.5}]}) is None


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe"])
@pytest.mark.parametrize("what", ["block", "record", "metadata"])
def test_what_is_no_regular_file_of_its_own_is_refused(store, tmp_path, kind, what):
    engine = engine_at(store)  # kept: paths of its ledger lie below a descriptor that goes with it
    chosen = {
        "block": next(file for file in sorted(store.rglob("*")) if file.suffix == ".h5" or file.name.startswith("c.")),
        "record": engine.ledger.path(1),
        "metadata": engine.ledger.seal_file,
    }[what]
    target = chosen.parent if kind == "folder link" else chosen
    target.rename(tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere") if "link" in kind else os.mkfifo(target)
    with pytest.raises((CorruptStoreError, StoreError)):
        open_store(store).read(range(10))
    with pytest.raises(StoreError):
        verify(store)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "taps/../../secret"])
def test_a_seal_reads_no_file_of_others(store, tmp_path, name):
    (tmp_path / "secret").write_text("secret")
    engine = engine_at(store)
    ledger = engine.ledger
    ledger.seal({name: file_checksum(store / name)}, ledger.sealed_attributes())
    refused(store, "seal is about other files")


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


def test_zarr_columns_are_no_longer_than_their_files(tmp_path):
    write_store(tmp_path / "s", make_layout(), format="zarr")
    for column in ("id", "label", "split"):
        path = tmp_path / "s" / column / "zarr.json"
        document = json.loads(path.read_text())
        document["shape"] = document["chunk_grid"]["configuration"]["chunk_shape"] = [10**12]
        path.write_text(json.dumps(document))
    attributes = engine_at(tmp_path / "s").ledger.sealed_attributes()
    set_attributes(tmp_path / "s", {**attributes, "rows": 10**12})
    refused(tmp_path / "s", "more than its files have")


def test_zarr_codecs_are_those_of_udta(tmp_path):
    write_store(tmp_path / "s", make_layout(), format="zarr")
    path = tmp_path / "s" / "taps" / "head" / "zarr.json"
    document = json.loads(path.read_text())
    document["codecs"].append({"name": "blosc", "configuration": zarr.codecs.BloscCodec().to_dict()["configuration"]})
    path.write_text(json.dumps(document))
    reseal(tmp_path / "s")
    refused(tmp_path / "s", "codecs that udta does not use|cannot be read")


def test_a_row_is_no_larger_than_its_file(store):
    attributes = engine_at(store).load().attributes()
    attributes["taps"][0]["shape"] = [2**30, 2, 2]
    set_attributes(store, attributes)
    refused(store)


def test_metadata_that_is_nested_without_end_is_refused(store):
    ledger = engine_at(store).ledger
    deep = "[" * 100_000 + "]" * 100_000
    ledger.path(0).write_text(f'{{"attributes": {deep}}}')
    refused(store, "cannot be read")
    (ledger.directory / ledger.name).write_text(f'{{"attributes": {deep}}}')
    with pytest.raises(StoreError):
        open_store(store)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["samples"][0].__setitem__(1, "zz" * 32),
        lambda d: d["samples"][0].__setitem__(1, "ab"),
        lambda d: d["skipped"].update({"900": "no"}),
        lambda d: d["checksums"].pop("head"),
        lambda d: d.update(rows=[0, 10**12]),
        lambda d: d["checksums"].update(head=["00000000"]),
    ],
)
def test_a_record_that_does_not_fit_the_store_is_refused(store, edit):
    edit_record(store, 0, edit)
    refused(store)


def test_hdf5_notes_stay_in_their_file(tmp_path):
    write_store(tmp_path / "s", make_layout(), format="hdf5")
    edit_record(tmp_path / "s", 0, lambda d: d["note"]["chunks"]["head"].__setitem__(0, [10**15, 80]))
    refused(tmp_path / "s", "outside the file")


def quantised_layout():
    taps = {"map": TapSpec("map", "grid(2)", (3, 2, 2), "uint8"), "head": TAPS[1]}
    quantiser = Quantiser.fit(np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32))
    error = {"images": 4, "relative_rmse": {"map": 0.1}, "probe_top1_difference": None}
    return replace(make_layout(n=6, block_rows=4), taps=taps, quantisers={"map": quantiser}, storage_error=error)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_change_of_attributes_opens_as_before_or_is_refused(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "s"
    write_store(path, quantised_layout(), format=kind)
    original, values = engine_at(path).load().attributes(), open_store(path).read(range(6), dtype="float32")

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        set_attributes(path, changed(data.draw, original))
        same_or_refused(path, values)

    check()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_change_of_a_record_opens_as_before_or_is_refused(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "s"
    write_store(path, quantised_layout(), format=kind)
    values, ledger = open_store(path).read(range(6), dtype="float32"), engine_at(path).ledger
    original = ledger.record(0).to_json()

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        ledger.path(0).write_bytes(_document(changed(data.draw, original)))
        same_or_refused(path, values)

    check()


def same_or_refused(path, values):
    try:
        store = open_store(path)
        assert store.complete
        assert len(store.hashes) == len(store)
        found = store.read(range(6), dtype="float32")
        verify(path)
    except (UdtaError, IndexError):  # a row that is not there, as for any caller
        return
    for tap, expected in values.items():
        if tap in found and found[tap].shape == expected.shape and store.taps[tap].dtype != "uint8":
            np.testing.assert_array_equal(found[tap], expected)
