"""Probabilities: a temperature from images that were left out, which changes no prediction."""

import numpy as np
import pytest
import torch
from made_stores import TAPS, make_hashes, make_layout

import udta
from udta.adapters import load_adapter
from udta.errors import FeatureError
from udta.scoring import view_answers, view_logits
from udta.store import StoreWriter, stored_dtype
from udta.tasks.calibration import fit_temperature
from udta.training._temperature import choose

RECIPE = {"epochs": 12, "batch_size": 32, "lr": 1e-2, "label_smoothing": 0.3}


def write(path, n=300, noise=1.0, spoil=None):
    """Features in which the class is to be seen, beside noise."""
    layout = make_layout(n, views=2, block_rows=100)
    rng = np.random.default_rng(0)
    with StoreWriter(path, layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            start, stop = layout.block_range(block)
            features = {}
            for tap in TAPS:
                values = noise * rng.standard_normal((stop - start, 2, *tap.shape))
                values += layout.labels[start:stop].reshape(-1, *[1] * (values.ndim - 1))
                features[tap.name] = values.astype(stored_dtype(tap.dtype))
            if spoil is not None and start <= spoil < stop:
                features["head"][spoil - start, 1, 2] = np.nan
            writer.write(block, features)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return udta.open_store(write(tmp_path_factory.mktemp("temperature") / "s"))


@pytest.mark.parametrize("adapter", ["concat_linear", "ladder"])
def test_probabilities_are_calibrated_and_no_prediction_changes(store, tmp_path, adapter):
    report = udta.train(store, out=tmp_path / "run", adapter=adapter, recipe=RECIPE)
    model, rows = load_adapter(tmp_path / "run")[0], store.rows("test")
    assert 0.05 < float(model.temperature) < 0.9  # label smoothing had flattened them
    calibrated = view_answers(model, store, rows)
    model.temperature.fill_(1.0)
    flat = view_answers(model, store, rows)
    for axis in (slice(0, 1), slice(None)):
        best = [values[:, axis].mean(axis=1).argmax(axis=1) for values in (calibrated, flat)]
        np.testing.assert_array_equal(*best)
    labels = torch.from_numpy(store.labels[rows])
    losses = [torch.nn.functional.nll_loss(torch.from_numpy(values[:, 0]), labels) for values in (calibrated, flat)]
    assert losses[0] < losses[1] - 0.02
    assert report.metrics["ece"] < 0.1


def test_nothing_of_the_adapter_but_its_temperature_is_of_the_second_training(store, tmp_path, monkeypatch):
    udta.train(store, out=tmp_path / "with", adapter="linear", recipe=RECIPE)
    monkeypatch.setattr("udta.training.loop.set_temperature", lambda *_args, **_kwargs: None)
    udta.train(store, out=tmp_path / "without", adapter="linear", recipe=RECIPE)
    scaled, plain = (load_adapter(tmp_path / run)[0].state_dict() for run in ("with", "without"))
    assert [name for name in plain if not torch.equal(plain[name], scaled[name])] == ["temperature"]


@pytest.mark.parametrize("validation", [0, 0.2])
def test_an_adapter_of_a_sweep_has_one_too(store, tmp_path, validation):
    entry = {"adapter": "linear", "recipe": RECIPE}
    udta.sweep(store, adapters={"adapters": {"linear": entry}}, out=tmp_path / "sweep", validation=validation)
    found = float(load_adapter(tmp_path / "sweep" / "runs" / "linear")[0].temperature)
    assert 0.05 < found < 0.9
    if not validation:
        udta.train(store, out=tmp_path / "run", adapter="linear", recipe=RECIPE)
        assert found == pytest.approx(float(load_adapter(tmp_path / "run")[0].temperature), rel=0.02)


def test_a_classifier_of_arrays_has_one_too():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    inputs = (rng.standard_normal((200, 5)) + labels[:, None]).astype(np.float32)
    model = udta.UDTAClassifier("linear", epochs=12, lr=1e-2, label_smoothing=0.3).fit(inputs, labels)
    assert 0.05 < float(model.adapter_.temperature) < 0.9


def test_the_temperature_is_the_best_one_but_never_certainty():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(3 * truth, labels) == pytest.approx(3, rel=0.1)
    assert fit_temperature(truth / 4, labels) == pytest.approx(1 / 4, rel=0.1)
    right = torch.eye(5)[torch.arange(20) % 5]
    confidence = (right / fit_temperature(right, torch.arange(20) % 5)).softmax(1).amax(1)
    torch.testing.assert_close(confidence, torch.full((20,), 21 / 22), atol=1e-3, rtol=0)
    assert fit_temperature(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])) == 1


def test_a_fifth_of_each_class_is_left_out_and_copies_stay_together():
    labels = np.array([0] * 20 + [1] * 3 + [2])
    contents = np.arange(24)
    contents[1], contents[22] = 0, 21
    mask = choose(labels, contents, seed=3)
    assert [int(mask[labels == label].sum()) for label in range(3)] in ([4, 1, 0], [5, 1, 0], [4, 2, 0], [5, 2, 0])
    assert mask[0] == mask[1]
    assert mask[21] == mask[22]
    np.testing.assert_array_equal(mask, choose(labels, contents, seed=3))


@pytest.mark.parametrize("adapter", ["linear", "ridge", "knn", "udta", "ladder"])
def test_an_image_whose_features_are_not_finite_is_named_in_training(tmp_path, monkeypatch, adapter):
    monkeypatch.setattr("udta.store._block_writer.not_finite", lambda *_: {})  # as a store that something else wrote
    bad = udta.open_store(write(tmp_path / "bad", spoil=1))
    with pytest.raises(FeatureError, match=r"'cat/1.png'.*not finite"):
        udta.train(
            bad, out=tmp_path / "run", adapter=adapter, recipe={} if adapter in ("ridge", "knn") else {"epochs": 1}
        )
    assert not (tmp_path / "run" / "adapter.safetensors").exists()


def test_no_figure_is_made_of_what_is_not_finite(store, tmp_path, monkeypatch):
    monkeypatch.setattr("udta.store._block_writer.not_finite", lambda *_: {})
    udta.train(store, out=tmp_path / "run", adapter="linear", recipe={"epochs": 1})
    bad = udta.open_store(write(tmp_path / "bad", spoil=3))
    with pytest.raises(FeatureError, match=r"1 of 100 image\(s\) is not finite, such as 'cat/3.png'"):
        udta.evaluate(tmp_path / "run", bad)
    with pytest.raises(FeatureError, match=r"'cat/3\.png'"):
        view_logits(load_adapter(tmp_path / "run")[0], bad, bad.rows("test"))
