"""The accuracy benchmark: its rival, its checks of stores, its figures, its page."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.append(str(Path(__file__).parents[2]))

import udta
from benchmarks import accuracy as bench
from benchmarks import accuracy_doc
from benchmarks.accuracy_parts import Place, trained
from benchmarks.accuracy_results import Result, accuracy, bytes_per_view, complete, reduction, train_seconds
from benchmarks.live import page
from benchmarks.real import MOBILENET
from benchmarks.regression import FOLDS, Samples, best_of, cross_validate, path, read
from benchmarks.store_checks import as_uint8, with_taps
from udta.store import row_bytes

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


@pytest.mark.slow
def test_views_of_an_image_are_never_on_both_sides_of_a_fold():
    """Labels that say nothing, views of an image that are equal: only a fold that knows an image by another view is any good."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(80, 1, 100)).astype(np.float32), 4, axis=1)
    scores = cross_validate(Samples(vectors, np.arange(80) % 2))
    assert len(scores) >= FOLDS
    assert max(score["top1_views"] for score in scores.values()) < 0.8


def test_samples_are_the_averages_of_a_split(toy_store):
    store = udta.open_store(toy_store)
    (found,) = read(store, "stage1", "test").values()
    rows = store.rows("test")
    assert found.vectors.shape == (len(rows), store.n_views, 8)
    expected = store.read(rows, taps=["stage1"], dtype="float32")["stage1"].mean(axis=(3, 4))
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-5)
    assert found.labels.tolist() == store.labels[rows].tolist()


def test_tokens_offer_three_inputs_and_cross_validation_chooses():
    values = np.random.default_rng(0).normal(size=(5, 2, 7, 4)).astype(np.float32)
    store = SimpleNamespace(
        rows=lambda split: np.arange(5), labels=np.arange(5), read=lambda rows, taps, dtype: {taps[0]: values}
    )
    found = read(store, "norm", "train", prefix=2)
    np.testing.assert_allclose(found["class token"].vectors, values[:, :, 0])
    np.testing.assert_allclose(found["average"].vectors, values[:, :, 2:].mean(axis=2))
    assert found["both"].vectors.shape == (5, 2, 8)
    scores = {"top1": 0.5, "top1_views": 0.6, "loss": 1.0}
    figures = {"top1": 0.1, "top1_views": 0.2, "C_top1": "1", "C_top1_views": "1"}
    better = {**figures, "top1": 0.3, "top1_views": 0.4, "cross_validated": {"1": {**scores, "top1": 0.7}}}
    chosen = best_of({"average": {**figures, "cross_validated": {"1": scores}}, "both": better})
    assert chosen == {"top1": 0.3, "input_top1": "both", "top1_views": 0.2, "input_top1_views": "average"}


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


def document(udta_top1, rival_top1, **parts):
    """A result of one set: what accuracy.json's readers need, as the benchmark leaves it."""
    spent = {"cpu_seconds": 4.0, "bytes_per_view": 1000, "features": "f"}
    regression = {"top1": rival_top1, "top1_views": rival_top1}
    tuned = {
        **regression,
        "input_top1": "both",
        "input_top1_views": "both",
        "inputs": {"both": {**regression, **spent}},
    }
    return {
        "configuration": {"factory": "network", "views": 4, "seeds": 2},
        "train": 300, "n": 100, "classes": 10,
        "taps": {"default": {"blocks.5": "grid(14)"}},
        "extraction": {"default": {"cpu_seconds": 80.0}},
        "parts": {
            "udta": {"top1": [udta_top1, udta_top1], "top1_views": [udta_top1, udta_top1 + 0.02], **spent},
            "regression": {**tuned, "view0": tuned, "features": "f"},
            "parity": {"images": 100, "same_top1": 0.99, "features": "f"},
            **parts,
        },
    }  # fmt: skip


SETS = {"food": document(0.80, 0.75), "monkeys": document(0.995, 1.0), "birds": document(0.7, 0.7)}
TUNED = {
    "set": "food", "recipe": {"epochs": 30, "lr": 0.003}, "device": "H200",
    "tuning": {"epochs": 6, "lr": 0.003, "held_out": {
        "0.001": {"food": {"top1": 0.6, "loss": 1.5, "device": "H200"}},
        "0.003": {"food": {"top1": 0.7, "loss": 1.0, "device": "cpu"}},
    }},
    "metrics": [{"top1": 0.75, "top1_by_views": {"4": 0.78}}, {"top1": 0.77, "top1_by_views": {"4": 0.78}}],
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
    found = reduction(SETS, "udta", "top1")
    assert found["by_set"]["food"] == pytest.approx(0.2)
    assert found["by_set"]["monkeys"] is None
    assert found["mean"] == pytest.approx(0.1)
    assert found["of_mean_error"] == pytest.approx(1 - 0.505 / 0.55)
    assert found["worst_difference"] == pytest.approx(-0.005)


def test_auto_has_the_accuracy_of_what_it_picked():
    auto = {"picked": "udta", "cpu_seconds": 40.0, "features": "f"}
    found = document(0.8, 0.75, auto=auto)
    assert accuracy(found, "auto", "top1_views") == pytest.approx(0.81)
    assert train_seconds(found, "auto") == 40.0
    assert bytes_per_view(found, "auto") == 1000
    assert accuracy(SETS["food"], "auto", "top1") is None
    assert accuracy(document(0.8, 0.75, auto={**auto, "picked": "ridge"}), "auto", "top1") is None
    assert list(complete({"food": SETS["food"], "birds": found}, ("auto",))) == ["birds"]


def test_times_against_fine_tuning_by_hand():
    found = page.against_fine_tuning(SETS, {"food": TUNED}, COST)
    tuned = 0.04 * 2 * 300 * 30
    assert found["training_alone"] == pytest.approx(4 / tuned)
    assert found["with_extraction"] == pytest.approx(84 / tuned)
    assert found["with_training_images"] == pytest.approx(64 / tuned)


def test_the_page_says_what_the_results_say():
    by_hand = {"top1": [0.82], "top1_views": [0.82], "cpu_seconds": 4.0, "bytes_per_view": 1000, "features": "f"}
    found = {"mobilenet_v2": SETS, "deit_tiny": {"food": document(0.8, 0.75, by_hand=by_hand)}}
    text = accuracy_doc.render(found, [TUNED], COST)
    assert "| `udta` | 80.0 / 81.0 | 99.5 / 100.5 | 70.0 / 71.0 |" in text
    assert "| worst set, points | -0.50 | +0.50 |" in text
    assert "| DeiT-tiny | food | - | - | 75.0 / 75.0 | both / both | 75.0 |" in text
    assert "|  | difference, points | -2.00 / -1.00 |  |" in text
    assert "| food | 80.0 / 81.0 | 76.0 / 78.0 | 0.003 | 2, H200 |" in text
    untrained = {**TUNED, "recipe": {"epochs": 30, "lr": 0.001}}
    assert "| 0.001 (0.003 is to be trained yet) |" in accuracy_doc.render(found, [untrained], COST)
    assert "| food | 60.0, 1.50 (GPU) | 70.0, 1.00 |" in text
    assert "| udta | 12,345 | 10.0 | 20.0 | - | - | - |" in text
    assert "60 times below fine tuning (aimed at: 50)" in text
    assert "Against full fine-tuning" not in accuracy_doc.render(found, [], COST)
    alone = {"food": {**SETS["food"], "parts": {"udta": SETS["food"]["parts"]["udta"]}}}
    assert "Means of the sets" in accuracy_doc.render({"mobilenet_v2": alone}, [], COST)  # without the regression
    assert "Default taps" not in accuracy_doc.render({"mobilenet_v2": SETS}, [], COST)


def test_what_is_measured_is_kept_until_its_features_change(tmp_path):
    configuration = {"factory": "network", "views": 8, "seeds": 5}
    result = Result.of(tmp_path, "deit_tiny", "food", configuration)
    result.keep("linear", {"top1": [0.5], "features": "a"}, {"n": 10, "extraction": {"default": {"cpu_seconds": 1.0}}})
    again = Result.of(tmp_path, "deit_tiny", "food", configuration)
    assert again.has("linear", "a")
    assert not again.has("linear", "b")
    assert not again.has("udta", "a")
    assert not Result.of(tmp_path, "deit_tiny", "food", {**configuration, "seeds": 3}).parts
    result.keep("udta", {"top1": [0.6], "features": "a"}, {"n": 12, "extraction": {"by_hand": {"cpu_seconds": 2.0}}})
    assert list(result.document["extraction"]) == ["default", "by_hand"]
    assert result.document["n"] == 12


def test_a_run_measures_what_is_missing_and_no_more(tmp_path, monkeypatch, toy_store):
    """Another adapter, one that `auto` picked though nobody asked for it, and nothing the second time."""
    measured = []

    def measure(place, part):
        measured.append(part)
        return {"picked": "ridge", "cpu_seconds": 1.0} if part == "auto" else {"top1": [0.5], "top1_views": [0.5]}

    monkeypatch.setattr(bench, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(bench, "measure", measure)
    (tmp_path / "stores" / "default" / "mobilenet_v2").mkdir(parents=True)
    (tmp_path / "stores" / "default" / "mobilenet_v2" / "food").symlink_to(toy_store)
    place = Place(MOBILENET, "food", tmp_path, tmp_path / "work", tmp_path / "stores", 8, 5)
    bench.measure_missing(place, ["linear", "auto"], [])
    assert measured == ["linear", "auto", "ridge"]
    bench.measure_missing(place, ["linear", "auto", "udta"], [])
    assert measured == ["linear", "auto", "ridge", "udta"]
    bench.measure_missing(place, ["linear", "udta"], ["linear"])
    assert measured[4:] == ["linear"]


@pytest.mark.slow
def test_seeds_of_a_sweep_are_single_trainings(toy_store, tmp_path):
    """Seed 0 is trained alone, for its time, the others together: the figures are those of `udta train` with each seed."""
    store = udta.open_store(toy_store)
    found = trained(store, "concat_linear", 3, tmp_path / "runs")
    single = [udta.train(store, out=tmp_path / str(seed), adapter="concat_linear", seed=seed) for seed in range(3)]
    for figure in ("top1", "top1_views", "mean_per_class"):
        assert found[figure] == [each.metrics[figure] for each in single]
    assert found["bytes_per_view"] == sum(row_bytes(store.taps[tap]) for tap in found["taps"])


def test_the_published_page_is_what_the_published_results_give():
    assert (ROOT / "docs" / "accuracy.md").read_text() == accuracy_doc.rendered()


def test_the_published_costs_are_those_of_every_rival():
    from benchmarks.live import RIVALS

    document = json.loads((ROOT / "benchmarks" / "results" / "live" / "cost.json").read_text())
    assert set(document["costs"]) == {"udta", *RIVALS}
