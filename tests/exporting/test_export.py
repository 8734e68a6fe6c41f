"""Exports: what they hold equals what the store gives, other tools open them, and they appear whole or not at all."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from made_stores import TAPS, block_features, make_hashes, make_layout, tree, typed_layout, write_store

import udta
from udta.errors import ConfigError, StoreError, UncommittedRowError
from udta.exporting import FORMATS
from udta.fingerprint import TapSpec
from udta.store import Quantiser, StoreWriter


@pytest.fixture
def store(tmp_path):
    layout = typed_layout("float16")
    with StoreWriter(tmp_path / "store", layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            writer.write(block, block_features(layout, block), {5: "truncated"} if block == 1 else {})
    return udta.open_store(tmp_path / "store")


ROWS = [0, 1, 2, 3, 4, 6, 7, 8, 9]  # 5 was skipped


def test_npy_holds_the_stored_bits_and_an_index(store, tmp_path):
    report = udta.export(store, to="npy", out=tmp_path / "out")
    assert (report.rows, report.views, report.taps) == (9, (0,), ("stage1.0", "head"))
    for tap, values in store.read(ROWS, views=[0]).items():
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{tap}.npy", mmap_mode="r"), values[:, 0])
    with (tmp_path / "out" / "index.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == ROWS
    assert lines[1] == {"row": "1", "id": "cat/1.png", "label": "1", "class": "cat", "split": "train"}


def test_several_views_have_an_axis(store, tmp_path):
    udta.export(store, to="npy", out=tmp_path / "out", views="all", taps=["head"])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "head.npy"), store.read(ROWS, ["head"])["head"])
    assert not (tmp_path / "out" / "stage1.0.npy").exists()


def test_safetensors_loads_with_the_library(store, tmp_path):
    udta.export(store, to="safetensors", out=tmp_path / "out", views=[1, 0], split="train")
    rows = store.rows("train")
    found = safetensors.numpy.load_file(tmp_path / "out" / "features.safetensors")
    for tap, values in store.read(rows, views=[1, 0]).items():
        np.testing.assert_array_equal(found[tap], values)
    assert found["row"].tolist() == rows.tolist()
    assert found["label"].tolist() == store.labels[rows].tolist()


def test_parquet_opens_in_pandas_polars_and_duckdb(store, tmp_path):
    pytest.importorskip("pyarrow")
    udta.export(store, to="parquet", out=tmp_path / "out", views=[0, 1])
    path = tmp_path / "out" / "features.parquet"
    expected = store.read(ROWS, dtype="float32")
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(path)
    assert frame["id"].tolist() == store.ids[ROWS].tolist()
    assert frame["class"].tolist() == [store.classes[store.labels[row]] for row in ROWS]
    np.testing.assert_array_equal(np.stack(frame["stage1.0@1"]), expected["stage1.0"][:, 1].reshape(9, -1))
    polars = pytest.importorskip("polars")
    column = polars.read_parquet(path)["head@0"]
    np.testing.assert_array_equal(np.array(column.to_list(), np.float32), expected["head"][:, 0])
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"select \"head@0\"[2], split from '{path}' order by row").fetchall()
    assert rows == [(float(value[0, 1]), store.splits[row]) for value, row in zip(expected["head"], ROWS, strict=True)]


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_pooling_reduces_positions(store, tmp_path, pool):
    udta.export(store, to="npy", out=tmp_path / "out", pool=pool, dtype="float32")
    values = store.read(ROWS, views=[0], dtype="float32")
    expected = getattr(values["stage1.0"][:, 0], {"avg": "mean", "max": "max"}[pool])(axis=(2, 3))
    np.testing.assert_allclose(np.load(tmp_path / "out" / "stage1.0.npy"), expected, rtol=1e-6)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "head.npy"), values["head"][:, 0])


def test_small_chunks_change_nothing(store, tmp_path, monkeypatch):
    udta.export(store, to="npy", out=tmp_path / "whole")
    monkeypatch.setattr("udta.exporting._selection._CHUNK_BYTES", 100)
    udta.export(store, to="npy", out=tmp_path / "small")
    assert tree(tmp_path / "small") == tree(tmp_path / "whole")


def test_codes_are_exported_as_values(tmp_path):
    rng = np.random.default_rng(0)
    quantisers = {tap.name: Quantiser.fit(rng.standard_normal((9, *tap.shape)).astype(np.float32)) for tap in TAPS}
    write_store(tmp_path / "store", replace(typed_layout("uint8"), quantisers=quantisers))
    udta.export(tmp_path / "store", to="npy", out=tmp_path / "out")
    expected = udta.open_store(tmp_path / "store").read(range(10), views=[0], dtype="float16")["stage1.0"][:, 0]
    found = np.load(tmp_path / "out" / "stage1.0.npy")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "uint8"])
def test_a_store_goes_to_the_other_format_and_back_with_equal_bytes(tmp_path, dtype):
    layout = typed_layout(dtype)
    if dtype == "uint8":
        ones = {tap.name: np.stack([np.zeros(tap.shape), np.ones(tap.shape)]).astype(np.float32) for tap in TAPS}
        layout = replace(layout, quantisers={tap: Quantiser.fit(values) for tap, values in ones.items()})
    with StoreWriter(tmp_path / "zarr", layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            writer.write(block, block_features(layout, block), {5: "truncated"} if block == 1 else {}, {"head": 3})
    udta.export(tmp_path / "zarr", to="hdf5", out=tmp_path / "hdf5")
    udta.export(tmp_path / "hdf5", to="zarr", out=tmp_path / "back")
    assert udta.open_store(tmp_path / "hdf5").format == "hdf5"
    assert tree(tmp_path / "back") == tree(tmp_path / "zarr")
    assert udta.diff(tmp_path / "zarr", tmp_path / "hdf5").equal


def test_a_part_of_a_store_is_a_store(store, tmp_path):
    udta.export(store, to="hdf5", out=tmp_path / "part", split="train", taps=["head"], views=[0], pool="avg")
    part = udta.open_store(tmp_path / "part")
    rows = store.rows("train")
    assert part.complete
    assert part.ids.tolist() == store.ids[rows].tolist()
    np.testing.assert_array_equal(part.read(range(len(rows)))["head"], store.read(rows, ["head"], [0])["head"])


def test_the_manifest_says_what_was_exported(store, tmp_path):
    udta.export(store, to="safetensors", out=tmp_path / "out", pool="avg", taps=["stage1.0"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["taps"] == [{"name": "stage1.0", "reducer": "grid(2)|avg", "shape": [3], "dtype": "float16"}]
    assert manifest["fingerprint"]["sha256"] == store.fingerprint.digest
    assert set(manifest["files"]) == {"features.safetensors", "index.csv"}
    assert str(tmp_path) not in json.dumps(manifest)


def test_all_mistakes_are_reported_at_once(store, tmp_path):
    with pytest.raises(ConfigError) as caught:
        udta.export(
            store, to="npy", out=tmp_path / "o", taps=["haed"], views=[7], split="trian", pool="sum", dtype="f2"
        )
    assert len(caught.value.problems) == 5
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        udta.export(store, to="parqet", out=tmp_path / "o")
    with pytest.raises(UncommittedRowError, match="truncated"):
        udta.export(store, to="npy", out=tmp_path / "o", rows=[4, 5])
    with pytest.raises(ConfigError, match="views 0 to n"):
        udta.export(store, to="zarr", out=tmp_path / "o", views=[1])
    assert not (tmp_path / "o").exists()


def test_what_is_there_is_left_alone(store, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    for to in ("npy", "zarr"):
        with pytest.raises(StoreError, match="not empty"):
            udta.export(store, to=to, out=tmp_path / "out")
    assert tree(tmp_path / "out") == {"thesis.txt": b"precious"}


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_fails_half_way_leaves_nothing(store, tmp_path, monkeypatch, to):
    before = sorted(tmp_path.iterdir())

    def fail(what, done, total, note):
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError, match="power"):
        udta.export(store, to=to, out=tmp_path / "out", progress=fail)
    assert sorted(tmp_path.iterdir()) == before


def test_an_unfinished_store_is_not_exported(tmp_path):
    write_store(tmp_path / "store", make_layout(), blocks=[0])
    with pytest.raises(UncommittedRowError):
        udta.export(tmp_path / "store", to="npy", out=tmp_path / "out")


@pytest.mark.parametrize("to", [name for name, each in FORMATS.items() if "label" in each.columns])
def test_a_tap_that_is_called_as_a_column_is_refused(tmp_path, to):
    taps = {"label": TapSpec("label", "avg", (5,), "float32")}
    write_store(tmp_path / "s", replace(make_layout(), taps=taps))
    with pytest.raises(ConfigError, match="'label' is called as a column"):
        udta.export(tmp_path / "s", to=to, out=tmp_path / "out")
    assert udta.export(tmp_path / "s", to="npy", out=tmp_path / "out").taps == ("label",)
