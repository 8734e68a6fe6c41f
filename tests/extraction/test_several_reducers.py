"""Several taps of one module: one pass, names that stay, and what reads them afterwards."""

import numpy as np
import pytest
from toy import photographs

import udta

OPTIONS = {"backbone": "toy:net", "compute": "float32", "dtype": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("several") / "photos", per_class=12)


@pytest.mark.parametrize("engine", ["zarr", "hdf5"])
def test_a_store_grows_by_another_reducer_and_keeps_its_names(folder, tmp_path, engine):
    path = tmp_path / "s"
    udta.extract(folder, taps="stage2=avg", out=path, format=engine, **OPTIONS)
    # The average is there under the module's own name, whatever a fresh store would call it.
    report = udta.extract(folder, taps="stage2=avg,pooled,stage2=grid(2)", out=path, **OPTIONS)
    assert (report.computed_images, report.kept) == (36, ())
    store = udta.open_store(path)
    assert {name: (tap.module, tap.reducer) for name, tap in store.taps.items()} == {
        "stage2@grid2": ("stage2", "grid(2)"),
        "stage2": ("stage2", "avg"),
        "pooled": ("pooled", "none"),
    }
    found = store.read(store.rows())
    np.testing.assert_allclose(found["stage2@grid2"].mean((3, 4)), found["stage2"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["pooled"], found["stage2"])  # what its linear layer reads
    again = udta.extract(folder, taps="stage2=grid(2)", out=path, **OPTIONS)
    assert (again.computed_images, again.kept) == (0, ("tap 'stage2'", "tap 'pooled'"))
    assert udta.verify(path).sound
    assert udta.recompute(path, samples=4, backbone="toy:net").differing == ()


def test_in_a_fresh_store_the_map_has_the_name_in_whatever_order(folder, tmp_path):
    udta.extract(folder, taps="stage2=avg,stage2=grid(2)", out=tmp_path / "one", **OPTIONS)
    udta.extract(folder, taps="stage2=grid(2),stage2=avg", out=tmp_path / "two", format="hdf5", **OPTIONS)
    one, two = udta.open_store(tmp_path / "one"), udta.open_store(tmp_path / "two")
    assert list(one.taps) == ["stage2", "stage2@avg"]
    assert one.fingerprint == two.fingerprint
    assert udta.diff(tmp_path / "one", tmp_path / "two").equal


def test_exports_have_the_names(folder, tmp_path):
    udta.extract(folder, taps="stage2=avg,stage2=grid(2)", out=tmp_path / "s", **OPTIONS)
    store = udta.open_store(tmp_path / "s")
    for kind in ("npy", "zarr", "hdf5"):
        udta.export(store, to=kind, out=tmp_path / kind, taps=["stage2@avg"])
    values = store.read(store.rows(), ["stage2@avg"])["stage2@avg"]
    np.testing.assert_array_equal(np.load(tmp_path / "npy" / "stage2@avg.npy").reshape(values.shape), values)
    for kind in ("zarr", "hdf5"):
        copy = udta.open_store(tmp_path / kind)
        assert copy.taps["stage2@avg"] == store.taps["stage2@avg"]
        assert copy.fingerprint.fields["taps"]["stage2@avg"]["module"] == "stage2"


def test_one_pass_serves_adapters_whose_stores_call_taps_otherwise(folder, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    udta.extract(folder, taps="stage2=avg", out=alone, **OPTIONS)
    udta.extract(folder, taps="stage2=avg,stage2=grid(2),pooled", out=both, **OPTIONS)
    runs = {}
    for store in (alone, both):
        runs[store.name] = tmp_path / f"{store.name}-run"
        udta.train(store, adapter="concat_linear", out=runs[store.name], recipe={"epochs": 3})
    udta.predict(folder, adapters=list(runs.values()), out=tmp_path / "t.csv", backbone="toy:net")
    together = (tmp_path / "t.csv").read_text().splitlines()[1:]
    for run in runs.values():
        udta.predict(folder, adapters=[run], out=tmp_path / "one.csv", backbone="toy:net")
        assert [line for line in together if f",{run}," in line] == (tmp_path / "one.csv").read_text().splitlines()[1:]
    assert udta.evaluate(runs["both"], both)["n"] > 0
    assert udta.parity(runs["both"], both, backbone="toy:net").same_top1 == 1
