"""Training: it learns, it is deterministic, and it leaves a run folder or nothing."""

import csv
import json

import numpy as np
import pytest
import torch

import udta
from udta.adapters import ADAPTERS, Recipe
from udta.errors import AdapterError, ConfigError


@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_learns_the_toy_task_and_leaves_a_run(toy_store, tmp_path, adapter):
    report = udta.train(
        toy_store, out=tmp_path / "run", adapter=adapter, recipe={"epochs": 30, "batch_size": 8, "lr": 1e-2}
    )
    assert report.metrics["top1"] > 0.9
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"top1", "top5", "mean_per_class", "top1_views", "n", "ece", "parameters", "train_seconds"} <= metrics.keys()
    history = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in history] == list(range(1, 31))
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert udta.evaluate(tmp_path / "run", toy_store)["top1"] == metrics["top1"]


def test_the_same_seed_gives_the_same_file_and_another_does_not(toy_store, tmp_path):
    options = {"recipe": {"epochs": 2, "mixup": 0.2}}
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        udta.train(toy_store, out=tmp_path / name, seed=seed, **options)
        files.append((tmp_path / name / "adapter.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


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
