"""Several labels an image, and numbers, through every way of training."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_stores import TAPS, make_hashes, make_layout
from some_fast import some_fast

import udta
from udta.adapters import ADAPTERS, find_adapter, load_adapter
from udta.errors import AdapterError, ConfigError
from udta.fingerprint import TapSpec
from udta.scoring import evaluate_rows, view_answers
from udta.store import StoreWriter, open_store, relabelled, stored_dtype
from udta.tasks import find_task
from udta.training._auto import assign_folds

N, N_TRAIN = 120, 80
MAPS = (TapSpec("early", "grid(2)", (6, 2, 2), "float32"), *TAPS[1:])
RECIPE = {"epochs": 10, "batch_size": 16, "lr": 3e-2, "weight_decay": 0.0}
NAMES = ("round", "red", "rare")
# A price far from zero and a size near it: neither may drown the other.
UNITS = (np.array([1e5, 0.01]), np.array([2e4, 0.001]))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Five hidden numbers an image, which its features show in two views with some noise."""
    layout = replace(
        make_layout(N, taps={tap.name: tap for tap in MAPS}, block_rows=64),
        ids=tuple(f"{row:03d}.png" for row in range(N)),
        splits=tuple("train" if row < N_TRAIN else "test" for row in range(N)),
    )
    rng = np.random.default_rng(0)
    values = hidden()[:, None] + 0.2 * rng.standard_normal((N, 2, 5))
    early = np.repeat(np.pad(values, ((0, 0), (0, 0), (0, 1)))[..., None], 4, axis=3).reshape(N, 2, 6, 2, 2)
    path = tmp_path_factory.mktemp("tasks") / "store.zarr"
    with StoreWriter(path, layout, make_hashes(layout)) as writer:
        for block in writer.missing:
            rows = slice(*layout.block_range(block))
            parts = {"early": early[rows], "head": values[rows]}
            stored = {tap: part.astype(np.float32).view(stored_dtype("float32")) for tap, part in parts.items()}
            writer.write(block, stored)
    return open_store(path)


def hidden():
    return np.random.default_rng(1).standard_normal((N, 5))


@pytest.fixture(scope="module")
def multilabel(store):
    labels = (hidden()[:, :3] > [0.0, 0.3, 1.3]).astype(np.float32)
    labels[[5, 100]] = np.nan  # nobody has looked at these
    return relabelled(store, labels, NAMES, "multilabel")


@pytest.fixture(scope="module")
def regression(store):
    labels = np.stack([hidden()[:, 0] + 0.5 * hidden()[:, 1], hidden()[:, 2]], axis=1) * UNITS[1] + UNITS[0]
    labels[[5, 100]] = np.nan
    return relabelled(store, labels, ("price", "size"), "regression")


def train(store, out, adapter, **more):
    closed = adapter == "auto" or find_adapter(adapter).closed_form
    return udta.train(store, out=out, adapter=adapter, recipe={} if closed else RECIPE, device="cpu", **more)


@pytest.mark.parametrize("adapter", some_fast(ADAPTERS, "linear", "udta", "ridge"))
def test_every_adapter_learns_several_labels(multilabel, adapter, tmp_path):
    report = train(multilabel, tmp_path / "run", adapter)
    metrics = report.metrics
    assert (report.train_samples, metrics["n"]) == (N_TRAIN - 1, N - N_TRAIN - 1)
    assert metrics["map"] > 0.8
    assert metrics["micro_f1"] > 0.7
    assert set(metrics["by_label"]) == set(NAMES)
    model, header = load_adapter(tmp_path / "run")
    assert (header.task, header.classes) == ("multilabel", NAMES)
    # Thresholds were chosen, and come back with the file.
    assert model.threshold.any()
    rows = np.setdiff1d(multilabel.rows("test"), [100])
    again = model.task.metrics(view_answers(model, multilabel, rows), multilabel.labels[rows], NAMES, model.thresholds)
    assert again == metrics
    # What it says are log-odds, as far as one temperature for all labels and 39 images go.
    probabilities = 1 / (1 + np.exp(-view_answers(model, multilabel, rows)[:, 0]))
    assert np.abs(probabilities.mean(0) - multilabel.labels[rows].mean(0)).max() < 0.25


@pytest.mark.parametrize("adapter", some_fast(ADAPTERS, "linear", "udta", "ridge"))
def test_every_adapter_learns_numbers_and_gives_them_back_in_units(regression, adapter, tmp_path):
    metrics = train(regression, tmp_path / "run", adapter).metrics
    assert metrics["r2"] > 0.6
    assert metrics["spearman"] > 0.75
    assert metrics["by_target"]["price"]["mae"] > 1000
    assert metrics["by_target"]["size"]["mae"] < 0.001
    model, header = load_adapter(tmp_path / "run")
    assert (header.task, header.classes) == ("regression", ("price", "size"))
    assert float(model.temperature) == 1.0
    said = view_answers(model, regression, regression.rows("test"))[:, 0]
    np.testing.assert_allclose(said.mean(0), regression.labels[regression.rows("train")[6:]].mean(0), rtol=0.1)


def test_units_make_no_difference(regression, tmp_path):
    """Of the same targets in other units the same adapter, but for the units."""
    other = relabelled(regression, regression.labels / [1000, 0.001], regression.classes, "regression")
    said = []
    for name, task in (("own", regression), ("other", other)):
        train(task, tmp_path / name, "linear")
        said.append(view_answers(load_adapter(tmp_path / name)[0], task, task.rows("test"))[:, 0])
    np.testing.assert_allclose(said[1] * [1000, 0.001], said[0], rtol=1e-3)


def test_history_says_how_many_labels_are_right_and_what_part_of_the_variance_is_explained(
    multilabel, regression, tmp_path
):
    for name, task in (("labels", multilabel), ("numbers", regression)):
        train(task, tmp_path / name, "linear")
        with (tmp_path / name / "history.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert float(lines[0]["accuracy"]) < float(lines[-1]["accuracy"]) < 1
        assert float(lines[-1]["accuracy"]) > 0.8
        if name == "numbers":  # a squared error of standardised targets, and what is left of 1
            assert float(lines[-1]["accuracy"]) == pytest.approx(1 - float(lines[-1]["loss"]), abs=1e-5)


def test_mixup_mixes_labels_and_numbers(multilabel, regression, tmp_path):
    for name, task, figure in (("labels", multilabel, "map"), ("numbers", regression, "r2")):
        report = udta.train(task, out=tmp_path / name, adapter="linear", recipe={**RECIPE, "mixup": 0.2}, device="cpu")
        assert report.metrics[figure] > 0.6


def test_auto_picks_by_the_figure_of_the_task(multilabel, regression, tmp_path):
    for name, task, figure in (("labels", multilabel, "map"), ("numbers", regression, "r2")):
        report = train(task, tmp_path / name, "auto", options={"candidates": ["knn", "ridge"], "folds": 2})
        table = json.loads((tmp_path / name / "metrics.json").read_text())["selection"]["table"]
        assert report.selection.picked == max(table, key=lambda row: row[figure])["adapter"]
        assert len(table[0][f"{figure}_by_fold"]) == 2
        assert train(
            task, tmp_path / name, "auto", options={"candidates": ["knn", "ridge"], "folds": 2}
        ).selection == replace(report.selection)


def test_folds_have_their_share_of_a_rare_label_and_numbers_are_dealt_out_as_they_come(multilabel, regression):
    rows = np.setdiff1d(multilabel.rows("train"), [5])
    folds = assign_folds(multilabel, rows, 4, seed=0)
    rare = np.bincount(folds[multilabel.labels[rows, 2] > 0], minlength=4)
    assert rare.max() - rare.min() <= 1
    folds = assign_folds(regression, rows, 4, seed=0)
    assert np.ptp(np.bincount(folds)) <= 1


@pytest.mark.parametrize("task", some_fast(["multilabel", "regression"], "multilabel"))
def test_a_sweep_trains_as_train_does_and_keeps_what_the_task_calls_best(task, request, tmp_path):
    """Two of them side by side, one on taps, one in closed form."""
    seen = request.getfixturevalue(task)
    entries = {
        "two": {"adapter": "linear", "recipe": RECIPE, "seeds": [0, 1]},
        "maps": {"adapter": "ladder", "recipe": RECIPE},
        "ridge": {"adapter": "ridge"},
        "loser": {"adapter": "linear", "recipe": {**RECIPE, "lr": 1e-6}},
    }
    report = udta.sweep(
        seen, adapters={"adapters": entries, "halving": {"rungs": 1}}, out=tmp_path / "sweep", device="cpu"
    )
    figure = find_task(task).figure
    by_name = {row["name"]: row for row in report.rows}
    assert by_name["loser"]["status"] == "stopped"
    finished = [row for row in report.rows if row["status"] == "finished"]
    assert all(row[figure] > 0.6 for row in finished)
    assert report.best["store"] in {row["name"] for row in finished}
    assert all(f"validation_{figure}" in row for row in report.rows)
    # Without rows held back, the same as alone.
    few = {"adapters": {name: entries[name] for name in ("two", "ridge")}, "validation": 0}
    udta.sweep(seen, adapters=few, out=tmp_path / "whole", device="cpu")
    train(seen, tmp_path / "alone", "linear")
    alone, among = (load_adapter(run)[0] for run in (tmp_path / "alone", tmp_path / "whole" / "runs" / "two-seed=0"))
    rows = seen.rows("test")
    np.testing.assert_allclose(view_answers(among, seen, rows), view_answers(alone, seen, rows), rtol=1e-2, atol=1e-3)


def test_a_killed_training_goes_on(regression, tmp_path, monkeypatch):
    whole = train(regression, tmp_path / "whole", "linear")
    monkeypatch.setattr("udta.training._checkpoint.PERIOD_S", 0.0)

    def killed(result, epochs):
        if result.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(regression, tmp_path / "killed", "linear", on_epoch=killed)
    assert train(regression, tmp_path / "killed", "linear").metrics == whole.metrics
    files = [(tmp_path / name / "adapter.safetensors").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_what_a_task_has_not_is_told(multilabel, store, tmp_path):
    with pytest.raises(ConfigError, match="task is 'multilabel': few-shot curves count the images of a class"):
        udta.fewshot(multilabel, out=tmp_path / "few")
    train(multilabel, tmp_path / "run", "ridge")
    adapter = load_adapter(tmp_path / "run")[0]
    with pytest.raises(AdapterError, match=r"was trained for multilabel, and the labels of .* are multiclass"):
        evaluate_rows(adapter, store, NAMES, store.rows("test"))
    fewer = relabelled(multilabel, multilabel.labels[:, :2], NAMES[:2], "multilabel")
    with pytest.raises(AdapterError, match="says nothing of 1 label"):
        evaluate_rows(adapter, fewer, NAMES, np.arange(90, 99))


def test_labels_are_found_by_name_whatever_their_order(multilabel, tmp_path):
    train(multilabel, tmp_path / "run", "ridge")
    adapter, header = load_adapter(tmp_path / "run")
    turned = relabelled(multilabel, multilabel.labels[:, ::-1], NAMES[::-1], "multilabel")
    rows = np.arange(90, 99)
    found = [evaluate_rows(adapter, each, header.classes, rows) for each in (multilabel, turned)]
    assert found[0] == found[1]


def test_a_label_that_no_training_image_has_is_named(multilabel, tmp_path):
    rows = np.flatnonzero((multilabel.labels[:N_TRAIN, 2] == 0) & multilabel.labelled[:N_TRAIN])
    report = train(multilabel, tmp_path / "run", "linear", rows=rows)
    assert report.untrained == ("rare",)
    assert np.isfinite(report.metrics["map"])


def test_one_target_alone_is_a_task(regression, tmp_path):
    one = relabelled(regression, regression.labels[:, :1], ("price",), "regression")
    for adapter in ("udta", "gda"):
        assert train(one, tmp_path / adapter, adapter).metrics["r2"] > 0.6


def test_thresholds_and_temperature_come_from_the_validation_split_of_a_sweep(multilabel, tmp_path):
    entries = {"adapters": {"linear": {"adapter": "linear", "recipe": RECIPE}}, "validation": 0.3}
    udta.sweep(multilabel, adapters=entries, out=tmp_path / "sweep", device="cpu")
    model = load_adapter(tmp_path / "sweep" / "runs" / "linear")[0]
    assert float(model.temperature) != 1.0
    assert torch.isfinite(model.threshold).all()
    assert model.threshold.any()
