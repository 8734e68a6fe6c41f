"""`udta.load_adapter`: what an adapter says of features, and that they have to be its own."""

import numpy as np
import pytest
import torch

import udta
from udta.adapters import load_adapter as read_adapter
from udta.errors import AdapterError, FeatureError


@pytest.fixture(scope="module")
def run(toy_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    udta.train(toy_store, out=path, adapter="concat_linear", recipe={"epochs": 2})
    return path


@pytest.fixture(scope="module")
def adapter(run):
    return udta.load_adapter(run, device="cpu")


@pytest.fixture(scope="module")
def store(toy_store):
    return udta.open_store(toy_store)


def test_it_says_what_it_is(adapter, store, run):
    assert (adapter.name, adapter.task, adapter.classes) == ("concat_linear", "multiclass", store.classes)
    assert {name: tap.shape for name, tap in adapter.taps.items()} == {"stage1": (8, 4, 4), "stage2": (16,)}
    assert (adapter.fingerprint, adapter.metrics) == (store.fingerprint, read_adapter(run)[1].metrics)


def test_rows_and_features_of_a_store_give_the_same(adapter, store):
    rows = store.rows("test")
    by_rows = adapter.predict(store, rows)
    logits = adapter.module(
        {tap: torch.from_numpy(values[:, 0]) for tap, values in store.read(rows, dtype="float32").items()}
    )
    np.testing.assert_allclose(by_rows.values, logits.softmax(dim=1).detach().numpy(), rtol=1e-4)
    assert np.mean(np.array(by_rows.labels) == np.array(store.classes)[store.labels[rows]]) == adapter.metrics["top1"]
    # As `store.read` gives them, with an axis for views, and as a loader does, without one.
    np.testing.assert_allclose(adapter(store.read(rows, views=[0])).values, by_rows.values, rtol=1e-4)
    batch = next(iter(udta.FeatureLoader(store, rows=rows, batch_size=len(rows), shuffle=False, views=0)))
    np.testing.assert_allclose(adapter(batch.taps).values, by_rows.values, rtol=1e-4)
    averaged = adapter.predict(store, rows, average_views=True)
    np.testing.assert_allclose(adapter(store.read(rows)).values, averaged.values, rtol=1e-4)
    assert not np.allclose(averaged.values, by_rows.values)
    assert len(adapter.predict(store)) == len(store)


def test_what_does_not_fit_is_named(adapter, store, photos, tmp_path):
    whole = store.read([0, 1], views=[0])
    for features, reason in (
        ({"stage1": whole["stage1"]}, "reads tap 'stage2'"),
        ({**whole, "stage2": whole["stage2"][:, :, :5]}, r"is \[2, 1, 5\], but"),
        ({**whole, "stage2": whole["stage2"][:1]}, "different numbers"),
    ):
        with pytest.raises(AdapterError, match=reason):
            adapter(features)
    with pytest.raises(FeatureError, match="codes and no values"):
        adapter({**whole, "stage2": whole["stage2"].astype(np.uint8)})
    with pytest.raises(FeatureError, match="NaN or infinite"):
        adapter({**whole, "stage2": np.full_like(whole["stage2"], np.nan)})
    udta.extract(photos, backbone="toy:net", taps="stage1=grid(2),stage2=avg", out=tmp_path / "other")
    with pytest.raises(AdapterError, match="other features"):
        adapter.predict(udta.open_store(tmp_path / "other"))
