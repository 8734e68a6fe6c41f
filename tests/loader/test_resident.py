"""Features kept in the memory of a device give the batches that reading gives; where they fit, and what was read."""

import pickle

import pytest
import torch
from made_stores import make_layout, write_store

from udta import FeatureLoader, open_store
from udta._machine.memory import fits_on
from udta.store import row_bytes

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("resident") / "s.zarr"
    write_store(path, make_layout(50, views=3, block_rows=8))
    return open_store(path)


def assert_the_same_epochs(read, resident):
    for _ in range(2):
        for expected, found in zip(read, resident, strict=True):
            assert torch.equal(found.rows.cpu(), expected.rows)
            assert torch.equal(found.labels.cpu(), expected.labels)
            for tap, values in expected.taps.items():
                assert torch.equal(found.taps[tap].cpu(), values)


@pytest.mark.parametrize("views", ["random", "all", 1, [2, 0]])
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_batches_are_those_that_reading_gives(store, views, dtype):
    options = {"batch_size": 7, "views": views, "dtype": dtype}
    assert_the_same_epochs(FeatureLoader(store, **options), FeatureLoader(store, resident=True, **options))


def test_going_on_in_the_middle_of_an_epoch(store):
    whole, stopped = (FeatureLoader(store, batch_size=7, resident=True) for _ in range(2))
    expected = [batch.rows.tolist() for batch in whole]
    batches = iter(stopped)
    seen = [next(batches).rows.tolist() for _ in range(2)]
    resumed = FeatureLoader(store, batch_size=7, resident=True)
    resumed.load_state_dict(stopped.state_dict())
    assert seen + [batch.rows.tolist() for batch in resumed] == expected


def test_bytes_read_are_those_of_the_views_delivered_or_kept(store):
    sample = sum(row_bytes(tap) for tap in store.taps.values())
    rows = len(store.rows("train"))
    for options, expected in (
        ({}, 2 * rows * sample),
        ({"views": "all"}, 2 * 3 * rows * sample),
        ({"dtype": "float32"}, 2 * rows * sample),
        ({"resident": True}, 3 * rows * sample),
    ):
        loader = FeatureLoader(store, batch_size=7, **options)
        for _ in range(2):
            list(loader)
        assert loader.bytes_read == expected, options


def test_nothing_is_kept_on_a_cpu_unless_asked(store):
    loader = FeatureLoader(store, batch_size=7, resident="auto", memory_budget=1000)
    assert loader.windowed
    assert not fits_on(CPU, 1)


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_keeps_what_fits(store):
    assert fits_on(CUDA, 1000)
    assert not fits_on(CUDA, torch.cuda.mem_get_info(CUDA)[1])
    loader = FeatureLoader(store, batch_size=7, device="cuda", resident="auto", memory_budget=1000)
    assert not loader.windowed
    assert all(values.is_cuda for batch in loader for values in (*batch.taps.values(), batch.labels, batch.rows))
    assert_the_same_epochs(
        FeatureLoader(store, batch_size=7), FeatureLoader(store, batch_size=7, device="cuda", resident="auto")
    )


@pytest.mark.gpu
@needs_cuda
def test_reading_to_a_gpu_gives_the_same_batches(store):
    assert_the_same_epochs(FeatureLoader(store, batch_size=7), FeatureLoader(store, batch_size=7, device="cuda"))


@pytest.mark.parametrize("views", ["random", "all", 1, [2, 0]])
def test_values_that_are_held_are_picked_as_taps_are(store, views):
    """In the same order, views and batches; here the values are those of one tap, so that reading can be compared with."""
    options = {"batch_size": 7, "views": views, "taps": [next(iter(store.taps))]}
    held = FeatureLoader(store, **options)
    [tap] = held.taps
    taken = {"random": [0, 1, 2], "all": [0, 1, 2], 1: [1]}.get(views if isinstance(views, str | int) else None, [0, 2])
    held.hold({tap: torch.from_numpy(store.read(held.rows, [tap], taken)[tap])})
    assert_the_same_epochs(FeatureLoader(store, **options), pickle.loads(pickle.dumps(held)))
    assert_the_same_epochs(FeatureLoader(store, **options), held)
    assert held.bytes_read == 0


def test_what_is_held_has_its_own_names_until_it_is_released(store):
    loader = FeatureLoader(store, batch_size=7, memory_budget=1000)
    assert loader.windowed
    loader.hold({"vectors": torch.zeros(len(loader.rows), 3, 5)})
    assert not loader.windowed  # it is in memory, whatever the budget
    assert all(batch.taps.keys() == {"vectors"} for batch in loader)
    loader.release()
    assert loader.windowed
    assert all(batch.taps.keys() == store.taps.keys() for batch in loader)
