"""The accuracy benchmark: its rival, its checks of stores, its figures, its page."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.append(str(Path(__file__).parents[2]))

import udta
from benchmarks import accuracy_doc
from benchmarks.regression import FOLDS, Samples, cross_validate, path, read
from benchmarks.store_checks import as_uint8, with_taps

ROOT = Path(__file__).parents[2]


def samples(n, views, seed=0, n_classes=3, n_features=12):
    """Vectors around the means of their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    means = np.random.default_rng(99).normal(size=(n_classes, n_features))
    return Samples((means[labels][:, None] + rng.normal(size=(n, views, n_features))).astype(np.float32), labels)


def test_the_regression_is_the_plain_pipeline():
    train, test = samples(60, 2), samples(90, 2, seed=1)
    (found,) = path(train, test, (0.01,))
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, tol=1e-8))
    plain.fit(train.vectors.reshape(120, -1), train.labels.repeat(2))
    logs = plain.predict_log_proba(test.vectors.reshape(180, -1)).reshape(90, 2, 3)
    assert found["top1"] == pytest.approx((logs[:, 0].argmax(1) == test.labels).mean(), abs=0.02)
    assert found["top1_views"] == pytest.approx((logs.mean(1).argmax(1) == test.labels).mean(), abs=0.02)


def test_views_of_an_image_are_never_on_both_sides_of_a_fold():
    """Labels that say nothing, views of an image that are equal: only a fold that knows an image by another view is any good."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(80, 1, 100)).astype(np.float32), 4, axis=1)
    scores = cross_validate(Samples(vectors, np.arange(80) % 2))
    assert len(scores) >= FOLDS
    assert max(score["top1_views"] for score in scores.values()) < 0.8


def test_samples_are_the_averages_of_a_split(toy_store):
    store = udta.open_store(toy_store)
    found = read(store, "stage1", "test")
    rows = store.rows("test")
    assert found.vectors.shape == (len(rows), store.n_views, 8)
    expected = store.read(rows, taps=["stage1"], dtype="float32")["stage1"].mean(axis=(3, 4))
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-5)
    assert found.labels.tolist() == store.labels[rows].tolist()


def test_a_store_with_fewer_taps_trains_on_these(toy_store, tmp_path):
    store = with_taps(udta.open_store(toy_store), ["stage2"])
    assert list(store.taps) == ["stage2"]
    report = udta.train(store, out=tmp_path / "run", adapter="concat_linear", recipe={"epochs": 1})
    assert report.parameters == 3 * (16 + 1)


def test_codes_stand_for_the_values_within_half_a_step(toy_store, tmp_path):
    store = udta.open_store(toy_store)
    small = as_uint8(store, tmp_path / "small")
    assert small.taps["stage1"].dtype == "uint8"
    rows = store.rows("train")
    for tap, quantiser in small.layout.quantisers.items():
        exact, coded = (each.read(rows, taps=[tap], dtype="float32")[tap] for each in (store, small))
        steps = quantiser.scale.reshape(-1, *[1] * (exact.ndim - 3))
        assert (np.abs(exact - coded) <= 0.51 * steps + 1e-3).all()
    assert small.splits.tolist() == store.splits.tolist()


def row(udta_top1, rival_top1, seconds=2.0):
    figures = {"top1": [udta_top1, udta_top1], "top1_views": [udta_top1, udta_top1 + 0.02], "seconds": [seconds] * 2}
    return {
        "train": 300, "n": 100, "classes": 10,
        "extraction": {"seconds": 40.0},
        "adapters": {"udta": figures},
        "regression": {"top1": rival_top1, "top1_views": rival_top1},
        "regression_view0": {"top1": rival_top1},
        "parity": {"images": 100, "same_top1": 0.99},
    }  # fmt: skip


DOCUMENT = {
    "configuration": {"views": 4, "seeds": 2, "adapters": "udta", "taps": "features.18=avg"},
    "cores": 2,
    "sets": {"food": row(0.80, 0.75), "monkeys": row(0.995, 1.0), "birds": row(0.7, 0.7)},
}
TUNED = {
    "set": "food", "train_seconds": 400.0, "recipe": {"epochs": 30, "lr": 0.003},
    "tuning": {"held_out": {"0.001": {"monkeys": {}}, "0.003": {"monkeys": {}}}, "epochs": 6},
    "device": "cpu", "metrics": [{"top1": 0.75, "top1_by_views": {"4": 0.78}}, {"top1": 0.77, "top1_by_views": {"4": 0.78}}],
}  # fmt: skip
COST = {
    "cores": 2, "classes": 40, "bars": {"fine_tuning": 50}, "backward_ratio": {"fine_tuning": 60.0},
    "costs": {
        "udta": {"parameters": 12345, "forward_flops": 10e6, "backward_flops": 20e6},
        "fine_tuning": {
            "parameters": 2e6, "forward_flops": 600e6, "backward_flops": 1200e6,
            "seconds_per_image": 0.04, "peak_bytes_over_data": 3e8,
        },
    },
}  # fmt: skip


def test_error_reductions_by_hand():
    found = accuracy_doc.reduction(DOCUMENT["sets"], "top1")
    assert found["by_set"]["food"] == pytest.approx(0.2)
    assert found["by_set"]["monkeys"] is None
    assert found["mean"] == pytest.approx(0.1)
    assert found["of_mean_error"] == pytest.approx(1 - 0.505 / 0.55)
    assert found["worst_difference"] == pytest.approx(-0.005)


def test_ratios_against_fine_tuning_by_hand():
    found = accuracy_doc.against_fine_tuning(DOCUMENT, {"food": TUNED}, COST)
    assert found["training_alone"] == pytest.approx(2 / 400)
    assert found["with_extraction"] == pytest.approx(42 / 400)
    assert found["with_training_images"] == pytest.approx(32 / 400)
    assert found["udta"]["top1_views"] == pytest.approx(0.81)
    assert found["fine_tuning"] == pytest.approx({"top1": 0.76, "top1_views": 0.78})
    on_gpu = accuracy_doc.against_fine_tuning(DOCUMENT, {"food": {**TUNED, "device": "H200"}}, COST)
    assert on_gpu["training_alone"] == pytest.approx(2 / (0.04 * 300 * 30))


def test_the_page_says_what_the_results_say():
    page = accuracy_doc.render(DOCUMENT, [TUNED], COST)
    assert "| food | 300 / 100 | 75.0 | 75.0 / 75.0 | 80.0 ± 0.0 / 81.0 ± 1.4 | 76.0 / 78.0 |" in page
    assert "| worst set, points | -0.50 | +0.50 |" in page
    assert "| udta | 12,345 | 10.0 | 20.0 | - | - | - |" in page
    assert "60 times below fine tuning (aimed at: 50)" in page
    assert "food 0.003 (monkeys)" in page
    assert "1/200 of the training time" in page
    assert "Against full fine-tuning" not in accuracy_doc.render(DOCUMENT, [], COST)


def test_the_published_page_is_what_the_published_results_give():
    assert (ROOT / "docs" / "accuracy.md").read_text() == accuracy_doc.rendered()


def test_the_published_costs_are_those_of_every_rival():
    from benchmarks.live import RIVALS

    document = json.loads((ROOT / "benchmarks" / "results" / "live" / "cost.json").read_text())
    assert set(document["costs"]) == {"udta", *RIVALS}
