"""Stores of a stranger: refused by their structure, before anything is read, followed, allocated or written elsewhere."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import zarr
from changed_documents import changed
from foreign_stores import edit_record, refused, reseal, set_attributes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_stores import TAPS, make_layout, tree, write_store

from udta.errors import CorruptStoreError, StoreError, UdtaError
from udta.exporting import export
from udta.fingerprint import TapSpec
from udta.store import ENGINES, Quantiser, engine_at, open_store
from udta.store._ledger import _document, file_checksum
from udta.store.verify import verify


@pytest.fixture(params=ENGINES)
def store(request, tmp_path):
    write_store(tmp_path / "s", make_layout(), format=request.param)
    return tmp_path / "s"


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


def test_metadata_that_is_nested_without_end_is_refused(store, no_collection):
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


def quantised_layout():
    taps = {"map": TapSpec("map", "grid(2)", (3, 2, 2), "uint8"), "head": TAPS[1]}
    quantiser = Quantiser.fit(np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32))
    error = {"images": 4, "relative_rmse": {"map": 0.1}, "probe_top1_difference": None}
    return replace(make_layout(n=6, block_rows=4), taps=taps, quantisers={"map": quantiser}, storage_error=error)


@pytest.mark.parametrize("kind", ENGINES)
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


@pytest.mark.parametrize("kind", ENGINES)
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
