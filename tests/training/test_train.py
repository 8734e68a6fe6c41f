"""Training: it learns, it is deterministic, and it leaves a run folder or nothing."""

import csv
import json

import numpy as np
import pytest
import safetensors.torch
import torch

import udta
from udta.adapters import ADAPTERS, Recipe
from udta.errors import AdapterError, ConfigError
from udta.training._run_folder import RUN_FILES

SHORT = {"epochs": 30, "batch_size": 8, "lr": 1e-2}


@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_learns_the_toy_task_and_leaves_a_run(toy_store, tmp_path, adapter):
    closed = ADAPTERS[adapter].closed_form
    report = udta.train(toy_store, out=tmp_path / "run", adapter=adapter, recipe={} if closed else SHORT)
    assert report.metrics["top1"] > 0.9
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {
        "top1",
        "top5",
        "mean_per_class",
        "balanced_accuracy",
        "macro_f1",
        "top1_views",
        "n",
        "ece",
        "parameters",
        "train_seconds",
    } <= metrics.keys()
    history = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in history] == ([1] if closed else list(range(1, 31)))
    if not closed:
        assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert udta.evaluate(tmp_path / "run", toy_store)["top1"] == metrics["top1"]


@pytest.mark.parametrize("adapter", ["ridge", "knn", "head2toe"])
def test_what_is_solved_sees_every_view_of_every_training_row_once(toy_store, tmp_path, monkeypatch, adapter):
    seen = []
    solve = ADAPTERS[adapter].solve

    def watched(self, samples):
        batches = list(samples)
        seen.extend(row for batch in batches for row in batch.rows.tolist())
        return solve(self, batches)

    monkeypatch.setattr(ADAPTERS[adapter], "solve", watched)
    recipe = {} if ADAPTERS[adapter].closed_form else {"epochs": 1}
    udta.train(toy_store, out=tmp_path / "run", adapter=adapter, recipe=recipe)
    store = udta.open_store(toy_store)
    assert seen == np.repeat(store.rows("train"), store.n_views).tolist()


def test_a_closed_form_refuses_a_recipe(toy_store, tmp_path):
    with pytest.raises(ConfigError, match="'ridge' is solved in closed form: it has no epochs"):
        udta.train(toy_store, out=tmp_path / "run", adapter="ridge", recipe={"epochs": 3})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_the_same_seed_gives_the_same_file(toy_store, tmp_path, adapter):
    recipe = {} if ADAPTERS[adapter].closed_form else {"epochs": 2, "mixup": 0.2}
    for name in ("a", "b"):
        torch.rand(3)  # whatever was drawn before
        udta.train(toy_store, out=tmp_path / name, adapter=adapter, recipe=recipe)
    assert (tmp_path / "a" / "adapter.safetensors").read_bytes() == (
        tmp_path / "b" / "adapter.safetensors"
    ).read_bytes()


def test_another_seed_gives_another_adapter(toy_store, tmp_path):
    files = []
    for seed in (0, 1):
        udta.train(toy_store, out=tmp_path / str(seed), seed=seed, recipe={"epochs": 2})
        files.append(safetensors.torch.load_file(tmp_path / str(seed) / "adapter.safetensors"))
    assert not all(torch.equal(files[0][name], files[1][name]) for name in files[0])


def test_what_a_killed_process_left_of_a_file_is_swept(toy_store, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".adapter.safetensors.0123456789abcdef.partial").write_bytes(b"half")
    udta.train(toy_store, out=tmp_path / "run", adapter="linear", recipe={"epochs": 1})
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == sorted(RUN_FILES)


def test_history_grows_while_training_goes_on(toy_store, tmp_path):
    lines = []
    udta.train(
        toy_store,
        out=tmp_path / "run",
        recipe={"epochs": 3},
        on_epoch=lambda result, epochs: lines.append(
            (len((tmp_path / "run" / "history.csv").read_text().splitlines()), epochs)
        ),
    )
    assert lines == [(2, 3), (3, 3), (4, 3)]


def test_a_diverging_training_says_so_and_leaves_no_adapter(toy_store, tmp_path):
    with pytest.raises(AdapterError, match="lower learning rate"):
        udta.train(toy_store, out=tmp_path / "run", adapter="udta", recipe={"epochs": 5, "lr": 1e30, "clip": 1e30})
    assert not (tmp_path / "run" / "adapter.safetensors").exists()


def test_an_output_that_is_not_a_run_is_left_alone(toy_store, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(AdapterError, match="not a run folder"):
        udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 1})
    assert (tmp_path / "run" / "thesis.txt").read_text() == "precious"


def test_all_wrong_recipe_fields_are_named():
    with pytest.raises(ConfigError) as caught:
        Recipe(epochs=3).override({"epoch": 3, "lr": -1, "batch_size": "many"})
    assert len(caught.value.problems) == 3
    assert "did you mean 'epochs'" in str(caught.value)


def test_batches_of_one_are_left_out_of_batchnorm(toy_store, tmp_path):
    store = udta.open_store(toy_store)
    rows = len(store.rows("train"))
    report = udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 2, "batch_size": rows - 1})
    assert np.isfinite(report.metrics["top1"])


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_very_short_trainings_work(toy_store, tmp_path, epochs):
    assert udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": epochs}).epochs == epochs


def test_training_leaves_the_random_state_of_the_caller_alone(toy_store, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 1})
    assert torch.equal(torch.rand(3), expected)
