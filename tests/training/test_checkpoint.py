"""A training that is interrupted anywhere goes on and ends in the bytes of one that was not."""

import csv
import json
import math
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from some_fast import some_fast
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

import udta
from udta.adapters import ADAPTERS, registry
from udta.adapters.linear import Linear
from udta.training import _checkpoint as checkpoint
from udta.training._run_folder import CHECKPOINT, RUN_FILES

RECIPE = {"epochs": 4, "batch_size": 8, "mixup": 0.2}  # three batches an epoch
SEED = 20_220_310
STEPWISE = [name for name, adapter in ADAPTERS.items() if not adapter.closed_form]


class Noisy(Linear):
    """An adapter that draws from torch's own generator in every step."""

    name = "noisy"

    def logits(self, features):
        return F.dropout(super().logits(features) + 1, training=self.training)


@pytest.fixture
def every_step(monkeypatch):
    """A checkpoint after every step, and the adapter `noisy`."""
    monkeypatch.setattr(checkpoint, "PERIOD_S", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", math.inf)
    monkeypatch.setattr(registry, "ADAPTERS", {**registry.ADAPTERS, "noisy": Noisy})


def interrupt(monkeypatch, store, out, steps, **options):
    """Train until the checkpoint of this step is written."""
    offer, offered = checkpoint.Checkpoints.offer, []

    def stopping(self, learner):
        offer(self, learner)
        offered.append(learner)
        if len(offered) == steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "offer", stopping)
        with pytest.raises(KeyboardInterrupt):
            udta.train(store, out=out, **options)
    assert (out / CHECKPOINT).exists()


def results(run):
    """What must be equal: the adapter's bytes, and the history without its times."""
    history = [
        {name: value for name, value in line.items() if name != "seconds"}
        for line in csv.DictReader((run / "history.csv").read_text().splitlines())
    ]
    return (run / "adapter.safetensors").read_bytes(), history


@pytest.mark.parametrize("adapter", some_fast([*STEPWISE, "noisy"], "linear", "udta"))
def test_going_on_from_any_step_equals_no_interruption(every_step, monkeypatch, toy_store, tmp_path, adapter):
    options = {"adapter": adapter, "recipe": RECIPE}
    whole = udta.train(toy_store, out=tmp_path / "whole", **options)
    for steps in (1, 3, 7):  # in the first epoch, at the end of one, in the middle of one
        run, seen = tmp_path / f"after-{steps}", []
        interrupt(monkeypatch, toy_store, run, steps, **options)
        report = udta.train(
            toy_store, out=run, on_epoch=lambda result, _, seen=seen: seen.append(result.epoch), **options
        )
        assert seen == list(range((steps - 1) // 3 + 1, 5))  # it did go on
        assert results(run) == results(tmp_path / "whole")
        assert report.cost["bytes_read"] == whole.cost["bytes_read"]
        assert sorted(file.name for file in run.iterdir()) == sorted(RUN_FILES)


def test_being_interrupted_again_and_again_costs_nothing_but_time(every_step, monkeypatch, toy_store, tmp_path):
    options = {"recipe": RECIPE}
    udta.train(toy_store, out=tmp_path / "whole", **options)
    for _ in range(4):
        interrupt(monkeypatch, toy_store, tmp_path / "run", 2, **options)
    seconds = checkpoint_header(tmp_path / "run")["progress"]["seconds"]
    report = udta.train(toy_store, out=tmp_path / "run", **options)
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    assert report.seconds > seconds > 0
    assert report.cost["train_cpu_seconds"] > 0


def test_an_error_in_the_callers_function_loses_nothing(every_step, toy_store, tmp_path):
    def fail(result, _):
        if result.epoch == 3:
            raise RuntimeError("the plot window was closed")

    with pytest.raises(RuntimeError, match="plot window"):
        udta.train(toy_store, out=tmp_path / "run", recipe=RECIPE, on_epoch=fail)
    assert not (tmp_path / "run" / "adapter.safetensors").exists()
    udta.train(toy_store, out=tmp_path / "run", recipe=RECIPE)
    udta.train(toy_store, out=tmp_path / "whole", recipe=RECIPE)
    assert results(tmp_path / "run") == results(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"options": {"width": 3}},
        {"recipe": {**RECIPE, "lr": 0.01}},
        {"recipe": {**RECIPE, "epochs": 5}},
        {"adapter": "linear"},
        {"split": "test"},
    ],
    ids=str,
)
def test_a_checkpoint_of_other_settings_is_not_gone_on_from(every_step, monkeypatch, toy_store, tmp_path, change):
    interrupt(monkeypatch, toy_store, tmp_path / "run", 4, recipe=RECIPE)
    seen, options = [], {"recipe": RECIPE, **change}
    udta.train(toy_store, out=tmp_path / "run", on_epoch=lambda result, _: seen.append(result.epoch), **options)
    udta.train(toy_store, out=tmp_path / "whole", **options)
    assert seen[0] == 1
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_checkpoint_of_another_store_is_not_gone_on_from(every_step, monkeypatch, toy_store, photos, tmp_path):
    other = tmp_path / "other.zarr"
    udta.extract(photos, backbone="toy:net", taps="stage1=grid(4),stage2=avg", views=2, seed=1, out=other)
    interrupt(monkeypatch, other, tmp_path / "run", 4, recipe=RECIPE)
    udta.train(toy_store, out=tmp_path / "run", recipe=RECIPE)
    udta.train(toy_store, out=tmp_path / "whole", recipe=RECIPE)
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def flipped(content):
    """One bit of the last tensor: a file that safetensors reads without a word."""
    return content[:-3] + bytes([content[-3] ^ 64]) + content[-2:]


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, None, flipped], ids=["empty", "noise", "truncated", "flipped"])
@pytest.mark.slow
def test_a_damaged_checkpoint_costs_no_more_than_its_time(every_step, monkeypatch, toy_store, tmp_path, damage, caplog):
    interrupt(monkeypatch, toy_store, tmp_path / "run", 4, recipe=RECIPE)
    file = tmp_path / "run" / CHECKPOINT
    content = file.read_bytes()
    file.write_bytes(damage(content) if callable(damage) else content[:-9] if damage is None else damage)
    udta.train(toy_store, out=tmp_path / "run", recipe=RECIPE)
    assert f"{file}: " in caplog.text
    assert "the training starts over" in caplog.text
    caplog.clear()
    udta.train(toy_store, out=tmp_path / "whole", recipe=RECIPE)
    assert not caplog.text
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_short_training_writes_no_checkpoint(monkeypatch, toy_store, tmp_path):
    monkeypatch.setattr(checkpoint, "write_tensors", pytest.fail)
    udta.train(toy_store, out=tmp_path / "run", recipe={"epochs": 1})


def test_a_slow_disk_is_written_to_less_often(every_step, monkeypatch, toy_store, tmp_path):
    """At a tenth of a second a checkpoint and a share of a hundredth, the second one is ten seconds away."""
    written, write = [], checkpoint.write_tensors

    def slowly(path, *content):
        time.sleep(0.1)
        written.append(path)
        write(path, *content)

    monkeypatch.setattr(checkpoint, "_SHARE", 0.01)
    monkeypatch.setattr(checkpoint, "write_tensors", slowly)
    udta.train(toy_store, out=tmp_path / "run", adapter="linear", recipe=RECIPE)
    assert len(written) == 1


# --- real processes


def command(store, out):
    code = (
        "from udta.training import _checkpoint as checkpoint\n"
        "checkpoint.PERIOD_S, checkpoint._SHARE = 0.0, float('inf')\n"
        "from udta.cli import main\n"
        "main()"
    )
    options = ("--epochs", 60, "--batch-size", 8, "--mixup", 0.2, "--out", out)
    return [sys.executable, "-c", code, "train", *map(str, (store, *options))]


def checkpoint_header(run):
    with safe_open(run / CHECKPOINT, framework="pt") as opened:
        return json.loads(opened.metadata()["udta-checkpoint"])


def lines(file: Path) -> int:
    return len(file.read_bytes().splitlines()) if file.exists() else 0


@pytest.mark.slow
def test_a_process_killed_again_and_again_ends_in_the_same_bytes(toy_store, tmp_path):
    rng, run = random.Random(SEED), tmp_path / "run"
    subprocess.run(command(toy_store, tmp_path / "whole"), check=True, capture_output=True)
    reached = []
    for epochs in sorted(rng.sample(range(1, 60), 5)):
        process = subprocess.Popen(command(toy_store, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while lines(run / "history.csv") <= epochs and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        reached.append(checkpoint_header(run)["progress"]["epoch"])
    assert reached == sorted(reached)
    subprocess.run(command(toy_store, run), check=True, capture_output=True)
    assert results(run) == results(tmp_path / "whole"), f"seed {SEED}"
    assert sorted(file.name for file in run.iterdir()) == sorted(RUN_FILES)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("adapter", ["udta", "noisy"])
def test_on_a_gpu_too(every_step, monkeypatch, toy_store, tmp_path, adapter):
    options = {"adapter": adapter, "recipe": RECIPE, "device": "cuda"}
    udta.train(toy_store, out=tmp_path / "whole", **options)
    interrupt(monkeypatch, toy_store, tmp_path / "run", 7, **options)
    udta.train(toy_store, out=tmp_path / "run", **options)
    assert results(tmp_path / "run") == results(tmp_path / "whole")
