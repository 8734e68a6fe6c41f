"""Memory of batches: never used again while anybody looks at a part of it, and used again when nobody does."""

import gc

import numpy as np
import pytest
import torch
from made_stores import all_features, make_layout, write_store

from udta import FeatureLoader, open_store
from udta.loader._batch import BufferPool

BYTES = np.dtype("u1")
# What somebody may keep of a buffer, instead of the array that the pool gave.
LOOKS = {
    "itself": lambda lent: lent,
    "a row": lambda lent: lent[3],
    "a view of views": lambda lent: lent[1:].T[2:][::2],
    "another type": lambda lent: lent.view(np.uint32)[4:],
    "a subclass": lambda lent: lent.view(np.recarray)[2:],
    "a memoryview": lambda lent: memoryview(lent)[2:],
    "a tensor": lambda lent: torch.from_numpy(lent),
    "a part of a tensor": lambda lent: torch.from_numpy(lent)[2:].view(torch.int32).t()[1],
    "an array of a tensor": lambda lent: torch.from_numpy(lent)[2:].numpy()[1:],
    "a tensor of its storage": lambda lent: torch.empty(0, dtype=torch.uint8).set_(
        torch.from_numpy(lent).untyped_storage()
    ),
    "a gradient's tensor": lambda lent: torch.from_numpy(lent).view(torch.float32).detach().requires_grad_()[1:],
}


@pytest.mark.parametrize("look", LOOKS)
def test_memory_is_not_given_again_while_somebody_looks_at_it_in_any_way(look):
    pool = BufferPool()
    lent = pool.get((20, 20), BYTES)
    lent.fill(7)
    address = lent.ctypes.data
    seen = LOOKS[look](lent)
    del lent
    gc.collect()
    others = [pool.get((20, 20), BYTES) for _ in range(3)]
    for other in others:
        other.fill(0)
    values = seen.detach().numpy() if isinstance(seen, torch.Tensor) else np.asarray(seen)
    assert set(np.ascontiguousarray(values).view(BYTES).flat) == {7}
    del seen, values
    gc.collect()
    assert pool.get((19, 20), BYTES).ctypes.data == address  # a shorter batch finds it too


def test_each_request_has_memory_of_its_own_and_the_pool_may_end_first():
    pool = BufferPool()
    arrays = [pool.get((n, 4), np.dtype("f4")) for n in (1, 100, 1000, 100)]
    for number, array in enumerate(arrays):
        array.fill(number)
    del pool
    gc.collect()
    assert [(array.shape, array.min(), array.max()) for array in arrays] == [
        ((1, 4), 0, 0),
        ((100, 4), 1, 1),
        ((1000, 4), 2, 2),
        ((100, 4), 3, 3),
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("batch") / "store"
    write_store(path, make_layout(200, views=3, block_rows=8))
    return open_store(path)


@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"memory_budget": 4096}])
def test_what_is_kept_of_a_batch_keeps_its_values(store, options):
    kept = [
        (batch.rows[1:], batch.taps["stage1.0"][1:, 2])
        for batch in FeatureLoader(store, None, batch_size=4, views=0, **options)
    ]
    expected = all_features(make_layout(200, views=3, block_rows=8))["stage1.0"]
    for rows, values in kept:
        np.testing.assert_array_equal(values.numpy(), expected[rows.numpy(), 0, 2].astype(values.numpy().dtype))


def test_an_epoch_takes_little_memory_however_long_it_is(store):
    loader = FeatureLoader(store, None, batch_size=1, dtype="float32")
    addresses = {batch.taps["head"].data_ptr() for batch in loader}
    assert len(loader) == 200
    assert len(addresses) < 40  # two taps, those read ahead, the one in hand
