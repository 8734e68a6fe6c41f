"""Other tools open a store without udta."""

import h5py
import numpy as np
import pytest
import zarr
from made_stores import all_features, make_layout, write_store

from udta.store import ENGINES, open_store


@pytest.fixture(params=["none", "zstd"])
def zarr_store(request, tmp_path):
    write_store(tmp_path / "store", make_layout(codec=request.param))
    return tmp_path / "store"


@pytest.fixture(params=["none", "gzip"])
def hdf5_store(request, tmp_path):
    write_store(tmp_path / "store", make_layout(codec=request.param), format="hdf5")
    return tmp_path / "store"


EXPECTED = all_features(make_layout())


def test_zarr_python(zarr_store):
    group = zarr.open_group(zarr_store, mode="r")
    assert {tap for tap, _ in group["taps"].arrays()} == set(EXPECTED)
    for tap, values in EXPECTED.items():
        np.testing.assert_array_equal(group["taps"][tap][:], values)


def test_h5py(hdf5_store):
    with h5py.File(hdf5_store / "index.h5") as file:
        for tap, values in EXPECTED.items():
            np.testing.assert_array_equal(file["taps"][tap][:], values)


def test_tensorstore(zarr_store):
    tensorstore = pytest.importorskip("tensorstore")
    for tap, values in EXPECTED.items():
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(zarr_store / "taps" / tap)}}
        np.testing.assert_array_equal(tensorstore.open(spec, read=True).result().read().result(), values)


def test_xarray_opens_zarr(zarr_store):
    xarray = pytest.importorskip("xarray")
    dataset = xarray.open_zarr(zarr_store, group="taps", consolidated=False, zarr_format=3, chunks=None)
    for tap, values in EXPECTED.items():
        assert dataset[tap].dims[:2] == ("row", "view")
        np.testing.assert_array_equal(dataset[tap].values, values)
    columns = xarray.open_zarr(zarr_store, consolidated=False, zarr_format=3, chunks=None)
    assert columns["id"].values.tolist() == list(make_layout().ids)


def test_xarray_opens_hdf5(hdf5_store):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    dataset = xarray.open_dataset(hdf5_store / "index.h5", group="taps", engine="h5netcdf", phony_dims="sort")
    for tap, values in EXPECTED.items():
        np.testing.assert_array_equal(dataset[tap].values, values)


def test_dask_opens_zarr(zarr_store):
    array = pytest.importorskip("dask.array")
    found = array.from_zarr(zarr.open_array(zarr_store / "taps" / "head", mode="r"))
    np.testing.assert_array_equal(found.compute(scheduler="sync"), EXPECTED["head"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_gives_lazy_dask_arrays(tmp_path, engine):
    pytest.importorskip("dask.array")
    layout = make_layout()
    write_store(tmp_path / "store", layout, format=engine)
    lazy = open_store(tmp_path / "store").dask("stage1.0")
    assert lazy.chunks[0] == (4, 4, 2)
    assert lazy.dtype == np.float16
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), EXPECTED["stage1.0"])
    mean = lazy.astype("float32").mean(axis=(0, 1, 3, 4)).compute(scheduler="sync")
    np.testing.assert_allclose(mean, EXPECTED["stage1.0"].astype(np.float32).mean(axis=(0, 1, 3, 4)), rtol=1e-5)
