"""Vectors that are pooled once: what they are, when they are kept, and that training on them is training on the taps."""

import numpy as np
import pytest
import torch

import udta
from udta.loader import FeatureLoader
from udta.scoring import labelled_rows, view_answers
from udta.training import loop as trainer
from udta.training.loop import fit
from udta.training.sources import VECTORS, build, pool_views, training_sources

FAST = {"epochs": 6, "batch_size": 8, "lr": 1e-2}
POOLED = ["udta", "linear", "concat_linear", "head2toe"]


def prepared(store, name, rows=None):
    rows = labelled_rows(store, "train") if rows is None else rows
    model = build(name, store, {}, seed=0)
    return model, *training_sources(model, store, rows, model.recipe.override(FAST), 0, "cpu")


@pytest.mark.parametrize("name", POOLED)
def test_vectors_are_what_the_adapter_pools_of_every_view(toy_store, name):
    store = udta.open_store(toy_store)
    model, loader, every_view = prepared(store, name)
    model.solve(every_view)
    vectors = pool_views(model, every_view, 10**9)
    assert vectors.shape[:2] == (len(loader.rows), store.n_views)
    for number, row in enumerate(loader.rows):
        for view in range(store.n_views):
            taps = store.read([row], model.taps_used, [view], dtype="float32")
            pooled = model.pool({tap: torch.from_numpy(values[:, 0]) for tap, values in taps.items()})
            np.testing.assert_allclose(vectors[number, view], pooled[0], rtol=1e-4, atol=1e-5)


def test_vectors_without_room_are_not_kept(toy_store):
    model, _, every_view = prepared(udta.open_store(toy_store), "concat_linear")
    n_bytes = pool_views(model, every_view, 10**9).nbytes
    assert pool_views(model, every_view, n_bytes) is not None
    assert pool_views(model, every_view, n_bytes - 1) is None


def test_nothing_to_pool_is_no_error(toy_store):
    model, _, every_view = prepared(udta.open_store(toy_store), "linear", np.array([], dtype=np.int64))
    assert pool_views(model, every_view, 10**9) is None


@pytest.mark.parametrize("name", POOLED)
def test_training_on_kept_vectors_is_training_on_taps(toy_store, monkeypatch, name):
    """Up to rounding: the same order, views, batches and steps, whether or not there is room."""
    store, found, seen = udta.open_store(toy_store), [], []
    hold = FeatureLoader.hold
    monkeypatch.setattr(FeatureLoader, "hold", lambda self, values: (seen.append(set(values)), hold(self, values)))
    for there_is_room in (True, False):
        if not there_is_room:
            monkeypatch.setattr(trainer, "pool_views", lambda *_: None)
        model, loader, every_view = prepared(store, name)
        fit(model, loader, recipe=model.recipe.override(FAST), every_view=every_view)
        assert next(iter(loader)).taps.keys() == set(model.taps_used)  # as it was before
        found.append(view_answers(model, store, store.rows()))
    assert seen == [{VECTORS}]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_mixup_mixes_maps(toy_store, monkeypatch):
    monkeypatch.setattr(trainer, "pool_views", pytest.fail)
    model, loader, every_view = prepared(udta.open_store(toy_store), "udta")
    fit(model, loader, recipe=model.recipe.override({**FAST, "mixup": 0.2}), every_view=every_view)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_vectors_stay_on_a_gpu(toy_store):
    store = udta.open_store(toy_store)
    found = {}
    for device in ("cpu", "cuda"):
        model = build("udta", store, {}, seed=0)
        recipe = model.recipe.override(FAST)
        loader, every_view = training_sources(model, store, labelled_rows(store, "train"), recipe, 0, device)
        fit(model, loader, recipe=recipe, every_view=every_view, device=device)
        found[device] = view_answers(model, store, store.rows(), device)
    np.testing.assert_allclose(found["cuda"], found["cpu"], atol=5e-2)
