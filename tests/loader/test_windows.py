"""Stores larger than the memory budget, going on in the middle of an epoch, and loaders inside torch's DataLoader."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_stores import TAPS, all_features, make_layout, typed_layout, write_store
from torch.utils.data import DataLoader

from udta import FeatureLoader, open_store
from udta.errors import ConfigError, CorruptStoreError
from udta.loader._order import order_rows
from udta.loader._windows import WindowedSource
from udta.store import Quantiser

ROW_BYTES = 12 * 2 + 5 * 4


@pytest.fixture(scope="module", params=["zarr", "hdf5", "zarr-gzip"])
def store(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("windows") / "store"
    engine, _, codec = request.param.partition("-")
    write_store(path, make_layout(100, views=3, block_rows=8, codec=codec or "none"), format=engine)
    return open_store(path)


EXPECTED = all_features(make_layout(100, views=3, block_rows=8))


def check(batches, views=None):
    """Every value is the stored one; returns the rows delivered."""
    rows = []
    for batch in batches:
        index = batch.rows.numpy()
        rows += index.tolist()
        for tap, values in batch.taps.items():
            every = EXPECTED[tap][index]
            if views == "random":
                axes = tuple(range(2, every.ndim))
                assert (every == values.numpy()[:, None]).all(axis=axes).any(axis=1).all()
            else:
                np.testing.assert_array_equal(values.numpy(), every[:, views])
    return rows


@pytest.mark.parametrize("views", [0, [2, 0], "random"])
@pytest.mark.parametrize("budget", [1, 30 * ROW_BYTES, 75 * ROW_BYTES])
def test_a_windowed_epoch_delivers_every_row_once(store, views, budget):
    loader = FeatureLoader(store, split=None, batch_size=7, views=views, memory_budget=budget)
    assert loader.windowed
    for _ in range(2):
        rows = check(loader, views)
        assert sorted(rows) == list(range(100))
        assert rows != list(range(100))


def test_unshuffled_windows_keep_the_order(store):
    loader = FeatureLoader(store, split=None, batch_size=9, views=1, memory_budget=20 * ROW_BYTES, shuffle=False)
    assert check(loader, 1) == list(range(100))
    assert [len(batch) for batch in loader] == [9] * 11 + [1]


def test_windows_are_rows_of_some_blocks_shuffled_exactly():
    order, bounds = order_rows(np.arange(100), block_rows=10, window_rows=30, rng=np.random.default_rng(0))
    assert bounds == (0, 30, 60, 90, 100)
    first = order[:30]
    assert len(set(first // 10)) == 3
    assert len(set(first[:10] // 10)) > 1
    assert sorted(order) == list(range(100))


@pytest.mark.parametrize("stride", [1, 4])
def test_two_windows_are_mapped_at_a_time(store, stride):
    loader = FeatureLoader(store, split=None, batch_size=5, views=0, memory_budget=1)
    epoch = loader.plan(0)
    source = WindowedSource(store, loader.taps, epoch, 0)
    for start in range(0, 100, 5 * stride):
        source.prepare(start, start + 5, [])
        out = {tap: np.empty((5, *store.taps[tap].shape), store.taps[tap].dtype) for tap in loader.taps}
        source.take(start, start + 5, out)
        np.testing.assert_array_equal(out["head"], EXPECTED["head"][epoch.rows[start : start + 5], 0])
        assert len(source._loaded) <= 2
    source.close()


def test_what_fits_is_shuffled_exactly(store):
    loader = FeatureLoader(store, split=None, views=0, memory_budget=100 * ROW_BYTES)
    assert not loader.windowed
    assert FeatureLoader(store, split=None, views="random", memory_budget=100 * ROW_BYTES).windowed  # any view may come


@pytest.mark.parametrize("budget", [None, 30 * ROW_BYTES])
@pytest.mark.parametrize("delivered", [0, 3, 11, 15])
def test_an_epoch_goes_on_exactly_where_it_stopped(store, budget, delivered):
    options = {"split": None, "batch_size": 7, "seed": 3, "memory_budget": budget}
    whole = FeatureLoader(store, **options)
    next(iter(whole))  # the first epoch does not matter
    expected = [batch.rows.tolist() for batch in whole]
    stopped = FeatureLoader(store, **options)
    stopped.epoch = 1
    batches = iter(stopped)
    seen = [next(batches).rows.tolist() for _ in range(delivered)]
    state = stopped.state_dict()
    assert state == {"epoch": 1, "batch": delivered}
    resumed = FeatureLoader(store, **options)
    resumed.load_state_dict(state)
    seen += [batch.rows.tolist() for batch in resumed]
    assert seen == expected
    assert len(list(resumed)) == len(resumed)  # the next epoch is whole again


def test_batches_that_are_kept_do_not_change(store):
    kept = list(FeatureLoader(store, split=None, batch_size=7, views=0))
    assert sorted(check(kept, 0)) == list(range(100))


@pytest.mark.parametrize("budget", [None, 20 * ROW_BYTES])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads
def test_inside_a_data_loader_the_workers_share_out_the_batches(store, workers, budget):
    loader = FeatureLoader(store, split=None, batch_size=7, views=0, memory_budget=budget)
    torch.manual_seed(0)
    data = DataLoader(loader, batch_size=None, num_workers=workers)
    first, second = check(data, 0), check(data, 0)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert len(data) == len(loader)


def test_a_loader_travels_to_another_process(store):
    loader = pickle.loads(pickle.dumps(FeatureLoader(store, split=None, views=0, shuffle=False)))
    assert check(loader, 0) == list(range(100))


@pytest.mark.parametrize("views", [1, "random", "all"])
def test_resident_features_give_the_same_batches(store, views):
    options = {"split": "train", "batch_size": 7, "views": views, "seed": 5}
    reading, resident = FeatureLoader(store, **options), FeatureLoader(store, resident=True, **options)
    for _ in range(2):
        for one, other in zip(reading, resident, strict=True):
            assert torch.equal(one.rows, other.rows)
            assert torch.equal(one.labels, other.labels)
            for tap, values in one.taps.items():
                assert torch.equal(values, other.taps[tap])


def test_classes_and_rows_choose_subsets(store):
    loader = FeatureLoader(store, split=None, classes=["cat"], views=0, shuffle=False)
    assert check(loader, 0) == list(range(1, 100, 2))
    assert check(FeatureLoader(store, rows=[7, 3, 3], views=0, shuffle=False), 0) == [7, 3, 3]
    with pytest.raises(ConfigError) as caught:
        FeatureLoader(store, classes=["cta"], batch_size=0, dtype="float8", views=9, memory_budget=0)
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_codes_become_values_of_any_type(tmp_path, dtype):
    rng = np.random.default_rng(0)
    quantisers = {tap.name: Quantiser.fit(rng.standard_normal((9, *tap.shape)).astype(np.float32)) for tap in TAPS}
    write_store(tmp_path / "s", replace(typed_layout("uint8"), quantisers=quantisers))
    store = open_store(tmp_path / "s")
    [codes] = FeatureLoader(store, split=None, views=0, shuffle=False)
    assert codes.taps["head"].dtype == torch.uint8
    [batch] = FeatureLoader(store, split=None, views=0, shuffle=False, dtype=dtype)
    exact = torch.from_numpy(store.read(range(10), ["head"], [0], dtype="float32")["head"][:, 0])
    assert torch.equal(batch.taps["head"], exact.to(getattr(torch, dtype)))


def test_bfloat16_features_are_bfloat16_tensors(tmp_path):
    write_store(tmp_path / "s", typed_layout("bfloat16"))
    store = open_store(tmp_path / "s")
    [batch] = FeatureLoader(store, split=None, views=0, shuffle=False)
    assert batch.taps["head"].dtype == torch.bfloat16
    expected = store.read(range(10), ["head"], [0], dtype="float32")["head"][:, 0]
    np.testing.assert_array_equal(batch.taps["head"].float().numpy(), expected)


@pytest.mark.parametrize("budget", [None, 4 * ROW_BYTES])
def test_a_missing_chunk_is_an_error_and_no_crash(tmp_path, budget):
    write_store(tmp_path / "s", make_layout(12))
    loader = FeatureLoader(open_store(tmp_path / "s"), split=None, views=0, memory_budget=budget)
    (tmp_path / "s" / "taps" / "head" / "c.1.0.0").unlink()
    with pytest.raises(CorruptStoreError, match="missing"):
        list(loader)
