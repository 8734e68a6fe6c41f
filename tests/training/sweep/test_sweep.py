"""A sweep as a whole: it trains what single training trains, goes on where it was killed, and chooses without the test split."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.torch
import torch
from some_fast import some_fast

import udta
from udta.adapters import load_adapter
from udta.errors import AdapterError, ConfigError
from udta.scoring import view_answers
from udta.training.sweep._sweep import _FILES
from udta.training.sweep._tasks import with_taps

FAST = {"epochs": 6, "batch_size": 8, "lr": 1e-2}


def table(out):
    """results.csv without what is measured in seconds, and without the one figure that shows rounding errors."""
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name not in ("train_seconds", "ece")} for row in rows]


def weights(run):
    return safetensors.torch.load_file(run / "adapter.safetensors")


def same_predictions(first, second, path):
    """Not the same weights: those without influence, such as a bias before a mean is removed, follow rounding errors."""
    store = udta.open_store(path)
    found = [view_answers(load_adapter(run)[0], store, store.rows()) for run in (first, second)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize(
    ("adapter", "mixup"),
    some_fast([("udta", 0.0), ("linear", 0.2), ("ladder", 0.0), ("attentive", 0.0)], ("udta", 0.0)),
)
def test_trains_what_single_training_with_the_same_seed_trains(toy_store, tmp_path, adapter, mixup):
    """A seed decides order, views and mixup of its own adapter: tensors agree up to rounding, and differ between seeds."""
    recipe = {**FAST, "epochs": 3, "mixup": mixup}
    other = {**recipe, "lr": 3e-3, "weight_decay": 1.0, "label_smoothing": 0.0, "clip": 0.1, "epochs": 2}
    entries = {
        "a": {"adapter": adapter, "recipe": recipe, "seeds": [0, 5]},
        "b": {"adapter": adapter, "recipe": other, "seeds": [5]},
    }
    udta.sweep(toy_store, adapters={"adapters": entries}, out=tmp_path / "sweep", validation=0)
    for name, seed, asked in (("a-seed=0", 0, recipe), ("a-seed=5", 5, recipe), ("b", 5, other)):
        alone, together = tmp_path / name, tmp_path / "sweep" / "runs" / name
        udta.train(toy_store, out=alone, adapter=adapter, recipe=asked, seed=seed)
        histories = [(run / "history.csv").read_text().splitlines() for run in (alone, together)]
        losses = [float(next(csv.DictReader(lines))["loss"]) for lines in histories]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
        if (
            adapter != "ladder"
        ):  # AdamW divides small gradients, such as of a bias before a mean is removed, by their size
            for tensor, value in weights(alone).items():
                np.testing.assert_allclose(weights(together)[tensor], value, rtol=1e-2, atol=2e-4, err_msg=tensor)
    first, second = (weights(tmp_path / "sweep" / "runs" / f"a-seed={seed}") for seed in (0, 5))
    assert not np.allclose(first["probe.classify.weight"], second["probe.classify.weight"], rtol=1e-2, atol=1e-3)


def test_leaves_runs_a_table_and_the_best(toy_store, tmp_path):
    entries = {"u": {"recipe": {**FAST, "epochs": 20}, "seeds": [0, 1]}, "lin": {"adapter": "linear", "recipe": FAST}}
    out = tmp_path / "sweep"
    report = udta.sweep(toy_store, adapters={"adapters": entries}, out=out)
    assert [row["name"] for row in report.rows] == ["u-seed=0", "u-seed=1", "lin"]
    for row in report.rows:
        run = out / "runs" / row["name"]
        assert {file.name for file in run.iterdir()} == {"adapter.safetensors", "metrics.json", "history.csv"}
        metrics = json.loads((run / "metrics.json").read_text())
        assert udta.evaluate(run, toy_store)["top1"] == metrics["top1"] == row["top1"]
        history = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
        assert len(history) == row["epochs"] == row["epochs_done"]
        assert float(history[-1]["loss"]) < float(history[0]["loss"])
    best = max(report.rows, key=lambda row: row["validation_top1"])
    assert report.best == {"store": best["name"]}
    assert weights(out / "best").keys() == weights(out / "runs" / best["name"]).keys()
    assert (out / "best" / "adapter.safetensors").read_bytes() == (
        out / "runs" / best["name"] / "adapter.safetensors"
    ).read_bytes()
    assert table(out)[0]["name"] == "u-seed=0"
    pyarrow = pytest.importorskip("pyarrow.parquet")
    assert pyarrow.read_table(out / "results.parquet").to_pylist() == [dict(row) for row in report.rows]


def test_without_validation_all_training_rows_are_used_and_there_is_no_best(toy_store, tmp_path):
    adapters = {"adapters": {"lin": {"adapter": "linear", "recipe": FAST}}}
    report = udta.sweep(toy_store, adapters=adapters, out=tmp_path / "all", validation=0)
    assert report.rows[0]["train_samples"] == len(udta.open_store(toy_store).rows("train"))
    assert report.best == {}
    assert not (tmp_path / "all" / "best").exists()
    assert udta.sweep(toy_store, adapters=adapters, out=tmp_path / "some").rows[0]["train_samples"] < 18


def test_losers_are_stopped_and_survivors_trained_to_the_end(toy_store, tmp_path):
    grid = {"recipe": {"lr": [1e-6, 1e-2], "weight_decay": [0.0, 1.0, 10.0, 30.0]}}
    entries = {"u": {"recipe": {**FAST, "epochs": 8}, "grid": grid}}
    report = udta.sweep(toy_store, adapters={"adapters": entries}, out=tmp_path / "s", validation=0.3, halving=True)
    status = [row["status"] for row in report.rows]
    assert status.count("finished") == 1
    assert sorted(row["epochs_done"] for row in report.rows) == [1, 1, 1, 1, 2, 2, 4, 8]
    assert {path.name for path in (tmp_path / "s" / "runs").iterdir()} == {
        row["name"] for row in report.rows if row["status"] == "finished"
    }


def test_seeds_of_a_configuration_go_on_or_stop_together(toy_store, tmp_path):
    recipe = {**FAST, "epochs": 4}
    entries = {
        "u": {"recipe": recipe, "grid": {"recipe": {"lr": [1e-6, 1e-2]}}, "seeds": [0, 1]},
        "same": {"recipe": {**recipe, "lr": 1e-2}, "seeds": [2]},  # by another name
    }
    report = udta.sweep(toy_store, adapters={"adapters": entries}, out=tmp_path / "s", validation=0.3, halving=True)
    done = {row["name"]: row["epochs_done"] for row in report.rows}
    assert set(done.values()) == {1, 4}
    assert done["u-lr=0.01-seed=0"] == done["u-lr=0.01-seed=1"] == done["same"] != done["u-lr=1e-06-seed=0"]
    assert done["u-lr=1e-06-seed=0"] == done["u-lr=1e-06-seed=1"]


def test_tasks_of_one_name_and_number_of_classes_are_kept_apart(toy_store, tmp_path):
    """Their best runs were copied to one folder, and learned directions of the first pooled for both."""
    store = udta.open_store(toy_store)
    kinds = [name.split("/")[0] for name in store.ids.tolist()]
    for folder, renamed in (("one", ["bird", "cat", "dog"]), ("two", ["cat", "dog", "bird"])):
        (tmp_path / folder).mkdir()
        named = dict(zip(["bird", "cat", "dog"], renamed, strict=True))
        odd = ["bird", "cat", "dog"] if folder == "one" else ["bird", "bird", "dog"]
        lines = [
            f"{name},{named[odd[row % 3] if row % 4 else kind]}"
            for row, (name, kind) in enumerate(zip(store.ids, kinds, strict=True))
        ]
        (tmp_path / folder / "labels.csv").write_text("\n".join(["path,label", *lines]))
    entries = {
        "own": {"recipe": FAST},
        "x": {"recipe": FAST, "grid": {"labels": ["one/labels.csv", "two/labels.csv"]}},
    }
    (tmp_path / "f.yaml").write_text(json.dumps({"adapters": entries}))
    report = udta.sweep(store, adapters=tmp_path / "f.yaml", out=tmp_path / "s")
    assert [row["name"] for row in report.rows] == ["own", "x-labels=one-labels", "x-labels=two-labels"]
    assert [row["task"] for row in report.rows] == ["store", "one-labels", "two-labels"]
    assert {path.name for path in (tmp_path / "s" / "best").iterdir()} == {"store", "one-labels", "two-labels"}
    second = [row for row in report.rows if row["task"] == "two-labels"]
    del entries["own"]
    entries["x"] = {"recipe": FAST, "labels": "two/labels.csv"}
    (tmp_path / "f.yaml").write_text(json.dumps({"adapters": entries}))
    udta.sweep(store, adapters=tmp_path / "f.yaml", out=tmp_path / "alone")
    alone, together = (weights(tmp_path / each) for each in ("alone/runs/x", f"s/runs/{second[0]['name']}"))
    for name, value in alone.items():
        np.testing.assert_allclose(together[name], value, rtol=1e-2, atol=2e-4, err_msg=name)


def test_nothing_is_chosen_by_the_test_split(toy_store, tmp_path):
    store = udta.open_store(toy_store)
    shuffled = with_taps(store, None)
    test = store.rows("test")
    shuffled.labels = store.labels.copy()
    shuffled.labels[test] = np.roll(store.labels[test], 2)
    long = {**FAST, "epochs": 24}
    entries = {"u": {"recipe": long, "seeds": [0, 1, 2, 3]}, "l": {"adapter": "linear", "recipe": long}}
    reports = [
        udta.sweep(each, adapters={"adapters": entries}, out=tmp_path / str(number), halving=True)
        for number, each in enumerate((store, shuffled))
    ]
    measured = {"top1", "top5", "mean_per_class", "balanced_accuracy", "macro_f1", "top1_views", "ece", "train_seconds"}
    chosen = [[{k: v for k, v in row.items() if k not in measured} for row in report.rows] for report in reports]
    assert chosen[0] == chosen[1]
    assert reports[0].best == reports[1].best
    assert [row["top1"] for row in reports[0].rows] != [row["top1"] for row in reports[1].rows]


@pytest.mark.slow
def test_an_interrupted_sweep_ends_with_the_same_table(toy_store, tmp_path):
    adapters = {
        "adapters": {
            "u": {"recipe": {**FAST, "mixup": 0.2}, "seeds": [0, 1, 2], "grid": {"label_fraction": [0.5, 1.0]}},
            "l": {"adapter": "linear", "recipe": {"epochs": 3, "batch_size": 4}},
        }
    }
    whole = udta.sweep(toy_store, adapters=adapters, out=tmp_path / "whole", halving=True)

    killed = []

    def kill(epoch, epochs, active):
        if epoch in killed:
            raise InterruptedError

    options = {"adapters": adapters, "out": tmp_path / "cut", "halving": True, "checkpoint_seconds": 0}
    for at in (1, 4):
        killed[:] = [at]
        with pytest.raises(InterruptedError):
            udta.sweep(toy_store, on_epoch=kill, **options)
        assert not (tmp_path / "cut" / "results.csv").exists()
    udta.sweep(toy_store, **options)
    assert table(tmp_path / "cut") == table(tmp_path / "whole")
    for row in whole.rows:
        if row["status"] == "finished":
            first, second = (weights(tmp_path / each / "runs" / row["name"]) for each in ("whole", "cut"))
            assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.slow
def test_a_killed_command_goes_on(toy_store, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("adapters:\n  u: {seeds: [0, 1], recipe: {epochs: 40, batch_size: 4}}\n")
    code = "import sys, udta; udta.sweep(*sys.argv[1:2], adapters=sys.argv[2], out=sys.argv[3], checkpoint_seconds=0)"

    def start(out):
        return subprocess.Popen([sys.executable, "-c", code, str(toy_store), str(file), str(out)])

    state = tmp_path / "cut" / "state.safetensors"
    process = start(tmp_path / "cut")
    written = None
    while written is None or state.stat().st_mtime_ns == written:  # until an epoch after the first state
        assert process.poll() is None, "it ended before it could be killed"
        if written is None and state.exists():
            written = state.stat().st_mtime_ns
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "results.csv").exists()
    for out in ("cut", "whole"):
        assert start(tmp_path / out).wait() == 0
    assert table(tmp_path / "cut") == table(tmp_path / "whole")


def test_a_finished_sweep_is_not_trained_again(toy_store, tmp_path):
    adapters = {"adapters": {"lin": {"adapter": "linear", "recipe": FAST}}}
    first = udta.sweep(toy_store, adapters=adapters, out=tmp_path / "s")
    epochs = []
    again = udta.sweep(
        toy_store, adapters=adapters, out=tmp_path / "s", on_epoch=lambda *figures: epochs.append(figures)
    )
    assert (again, epochs) == (first, [])
    shutil.rmtree(tmp_path / "s" / "runs" / "lin")
    with pytest.raises(AdapterError, match="lin is missing, though it was finished"):
        udta.sweep(toy_store, adapters=adapters, out=tmp_path / "s")


def test_another_sweep_and_other_folders_are_left_alone(toy_store, tmp_path):
    adapters = {"adapters": {"lin": {"adapter": "linear", "recipe": FAST}}}
    udta.sweep(toy_store, adapters=adapters, out=tmp_path / "s")
    other = {"adapters": {"lin": {"adapter": "linear", "recipe": {**FAST, "lr": 0.5}}, "new": {}}}
    with pytest.raises(AdapterError, match=r"another sweep \(other seed, rows, adapters.lin, adapters.new\)"):
        udta.sweep(toy_store, adapters=other, out=tmp_path / "s", seed=1)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("precious")
    with pytest.raises(AdapterError, match="not the folder of a sweep"):
        udta.sweep(toy_store, adapters=adapters, out=tmp_path / "thesis")
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["thesis.txt"]
    safetensors.torch.save_file({"weight": torch.zeros(1)}, tmp_path / "s" / "state.safetensors")
    with pytest.raises(AdapterError, match="no state of a sweep"):
        udta.sweep(toy_store, adapters=adapters, out=tmp_path / "s")


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "first write"])
def test_a_damaged_state_is_set_aside_and_the_sweep_starts_over(toy_store, tmp_path, damage, caplog):
    adapters, out = {"adapters": {"lin": {"adapter": "linear", "recipe": FAST}}}, tmp_path / "s"
    udta.sweep(toy_store, adapters=adapters, out=out)
    run, state = out / "runs" / "lin" / "adapter.safetensors", out / "state.safetensors"
    trained, content = run.read_bytes(), state.read_bytes()
    state.write_bytes(
        {"flip": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:-1], "empty": b""}.get(damage, b"")
    )
    if damage == "first write":  # all that a kill in it leaves
        shutil.rmtree(out)
        out.mkdir()
        (out / ".state.safetensors.0123456789abcdef.partial").write_bytes(content[:9])
    epochs = []
    for _ in range(2):
        udta.sweep(toy_store, adapters=adapters, out=out, on_epoch=lambda *figures: epochs.append(figures))
        assert run.read_bytes() == trained
        assert len(epochs) == FAST["epochs"]
    kept = {"state.safetensors.damaged"} if damage != "first write" else set()
    assert ("the sweep starts over" in caplog.text) == bool(kept)
    assert kept <= {file.name for file in out.iterdir()} <= {*_FILES}


def test_an_adapter_that_diverges_does_not_harm_the_others(toy_store, tmp_path):
    good = {"recipe": FAST}
    bad = {"recipe": {**FAST, "lr": 1e30, "clip": 1e30}}
    report = udta.sweep(toy_store, adapters={"adapters": {"good": good, "bad": bad}}, out=tmp_path / "both")
    assert [row["status"] for row in report.rows] == ["finished", "diverged"]
    udta.sweep(toy_store, adapters={"adapters": {"good": good}}, out=tmp_path / "alone")
    same_predictions(tmp_path / "both" / "runs" / "good", tmp_path / "alone" / "runs" / "good", toy_store)


def test_tasks_taps_and_shares_of_labels_in_one_pass(toy_store, tmp_path):
    store = udta.open_store(toy_store)
    lines = [f"{name},{'bird' if 'bird' in name else 'no bird'}" for name in store.ids.tolist()]
    (tmp_path / "birds.csv").write_text("\n".join(["path,label", *lines]))
    (tmp_path / "sweep.yaml").write_text(
        "adapters:\n"
        "  own: {recipe: {epochs: 30, batch_size: 8, lr: 0.01}}\n"
        "  birds: {labels: birds.csv, recipe: {epochs: 30, batch_size: 8, lr: 0.01}}\n"
        "  few: {taps: [stage2], label_fraction: 0.3, recipe: {epochs: 30, batch_size: 8, lr: 0.01}}\n"
    )
    report = udta.sweep(store, adapters=tmp_path / "sweep.yaml", out=tmp_path / "s")
    own, birds, few = report.rows
    assert report.best == {
        "store": "own" if own["validation_top1"] >= few["validation_top1"] else "few",
        "birds": "birds",
    }
    assert (tmp_path / "s" / "best" / "birds" / "adapter.safetensors").is_file()
    assert birds["top1"] > 0.9
    assert (few["taps"], few["train_samples"] < own["train_samples"]) == ("stage2", True)
    with pytest.raises(AdapterError, match="give the file by --labels"):
        udta.evaluate(tmp_path / "s" / "runs" / "birds", store)


def test_every_mistake_beside_the_store_is_reported(toy_store, tmp_path):
    entries = {"a": {"taps": ["stge2"]}, "b": {"options": {"widht": 3}}, "c": {"labels": "absent.csv"}}
    (tmp_path / "absent.csv").write_text("path,label\nx.png,a\ny.png,b\n")
    file = tmp_path / "f.yaml"
    file.write_text(json.dumps({"adapters": entries}))
    with pytest.raises(ConfigError) as caught:
        udta.sweep(toy_store, adapters=file, out=tmp_path / "s")
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    for part in ("adapters.a: ", "'stage2'", "adapters.b: ", "'width'", "nearest there is"):
        assert part in text, part
    assert not (tmp_path / "s").exists()
    with pytest.raises(ConfigError, match="validation is 0"):
        udta.sweep(toy_store, adapters={"adapters": {"a": {}}}, out=tmp_path / "s", validation=0, halving=True)


@pytest.mark.slow
def test_no_backbone_is_loaded(toy_store, tmp_path):
    code = (
        "import sys, udta; udta.sweep(sys.argv[1], adapters={'adapters': {'l': {'recipe': {'epochs': 1}}}}, out=sys.argv[2]);"
        "sys.exit(any(name.startswith('udta.backbones') for name in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, str(toy_store), str(tmp_path / "s")], check=False).returncode == 0
    )
