"""What a sweep does once for all of its adapters, and that each of them sees what it would see alone."""

import numpy as np
import pytest
from some_fast import some_fast

import udta
from udta.adapters import ADAPTERS, load_adapter
from udta.labels.options import LabelOptions
from udta.scoring import view_answers
from udta.training.sweep import _sharing as sharing
from udta.training.sweep import _spec as spec
from udta.training.sweep import _trial as trial
from udta.training.sweep._epochs import SweepLoop
from udta.training.sweep._tasks import with_label_fraction

FAST = {"epochs": 4, "batch_size": 8, "lr": 1e-2}


@pytest.fixture
def counted(monkeypatch):
    """Which rows were solved on and which were pooled, a pair for each time."""
    done = {"solved": [], "pooled": []}
    pool_views, solve = sharing.pool_views, ADAPTERS["udta"].solve

    def solving(self, samples):
        done["solved"].append(samples.loader.rows.tolist())
        return solve(self, samples)

    def pooling(adapter, every_view, budget):
        done["pooled"].append((adapter.name, every_view.loader.rows.tolist()))
        return pool_views(adapter, every_view, budget)

    monkeypatch.setattr(ADAPTERS["udta"], "solve", solving)
    monkeypatch.setattr(sharing, "pool_views", pooling)
    return done


def loop_of(store, entries, tmp_path):
    members = spec.expand(spec.parse({"adapters": entries}, "test"), "test", tmp_path, LabelOptions())
    loop = SweepLoop(store, trial.make_trials(store, members, validation=0, seed=0), None, tmp_path, 0, "cpu")
    loop.begin()
    return loop


def test_directions_and_vectors_are_found_once_for_the_same_rows(toy_store, tmp_path, counted):
    """Seeds, recipes and batch sizes make no difference; other rows, options or tasks do."""
    store = udta.open_store(toy_store)
    rows = ["path,label", *(f"{path},{'ab'[number % 2]}" for number, path in enumerate(store.ids.tolist()))]
    (tmp_path / "task.csv").write_text("\n".join(rows))
    entries = {
        "u": {"recipe": FAST, "seeds": [0, 1], "grid": {"recipe": {"lr": [1e-2, 1e-3], "batch_size": [4, 8]}}},
        "task": {"recipe": FAST, "labels": "task.csv"},
        "part": {"recipe": FAST, "label_fraction": 0.5},
        "thin": {"recipe": FAST, "options": {"width": 3}},
        "principal": {"recipe": FAST, "options": {"directions": "principal"}},
        "same": {"recipe": FAST, "options": {"directions": "principal"}, "labels": "task.csv"},
        "linear": {"adapter": "linear", "recipe": FAST},
    }
    together = loop_of(store, entries, tmp_path)
    for _ in range(2):
        together.train_epoch()
    everything = store.rows("train").tolist()
    assert sorted(map(len, counted["solved"])) == [9, *[len(everything)] * 4]
    names = sorted((name, len(rows)) for name, rows in counted["pooled"])
    assert names == [("linear", 18), ("udta", 9), *[("udta", 18)] * 4]


def test_what_depends_on_labels_is_solved_for_each_task(toy_store, tmp_path):
    store = udta.open_store(toy_store)
    rows = ["path,label", *(f"{path},{'abc'[number % 3]}" for number, path in enumerate(store.ids.tolist()))]
    (tmp_path / "task.csv").write_text("\n".join(rows))
    head = {"adapter": "head2toe", "recipe": FAST, "options": {"keep": 0.2}}
    together = loop_of(store, {"own": head, "again": head, "task": {**head, "labels": "task.csv"}}, tmp_path)
    own, again, task = (each.model.selected.tolist() for each in together.trials)
    assert own == again != task


def test_mixup_and_what_does_not_fit_read_the_store(toy_store, tmp_path, counted, monkeypatch):
    store = udta.open_store(toy_store)
    loop_of(store, {"u": {"recipe": {**FAST, "mixup": 0.2}}}, tmp_path).train_epoch()
    assert counted["pooled"] == []
    monkeypatch.setattr(sharing, "default_budget", lambda: 1)
    together = loop_of(store, {"u": {"recipe": FAST}, "l": {"adapter": "linear", "recipe": FAST}}, tmp_path)
    for _ in range(2):
        together.train_epoch()
    assert len(counted["pooled"]) == 2  # tried once each
    assert all(np.isfinite(each.history[-1].loss) for each in together.trials)


@pytest.mark.parametrize("budget", some_fast([10**9, 1], 10**9))
def test_a_part_of_the_rows_in_other_batches_is_trained_as_alone(toy_store, tmp_path, monkeypatch, budget):
    monkeypatch.setattr(sharing, "default_budget", lambda: budget)
    store = udta.open_store(toy_store)
    entries = {
        "whole": {"recipe": FAST},
        "part": {"recipe": {**FAST, "batch_size": 5}, "label_fraction": 0.5},
    }
    udta.sweep(store, adapters={"adapters": entries}, out=tmp_path / "sweep", validation=0)
    rows = with_label_fraction(store, 0.5, 0).rows("train")
    udta.train(store, out=tmp_path / "alone", rows=rows, recipe=entries["part"]["recipe"])
    runs = (tmp_path / "alone", tmp_path / "sweep" / "runs" / "part")
    found = [view_answers(load_adapter(run)[0], store, store.rows()) for run in runs]
    np.testing.assert_allclose(*found, atol=1e-3)
