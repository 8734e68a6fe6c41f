"""The log for TensorBoard, read back from its files."""

import csv
import json
import sys

import pytest

import udta
from udta.errors import ConfigError

pytest.importorskip("tensorboard", reason="needs the extra tensorboard")


def read(folder):
    """Scalars by name as (step, value), and the settings."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = EventAccumulator(str(folder)).Reload()
    scalars = {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    return scalars, {
        name: value.WhichOneof("kind") and getattr(value, value.WhichOneof("kind")) for name, value in settings.items()
    }


def history(run):
    with (run / "history.csv").open() as file:
        return [(int(line["epoch"]), pytest.approx(float(line["loss"]), rel=1e-5)) for line in csv.DictReader(file)]


def test_a_training_logs_its_epochs_and_its_figures(toy_store, tmp_path):
    how = {"adapter": "concat_linear", "tensorboard": tmp_path / "logs", "seed": 3}

    def killed(result, epochs):
        if result.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        udta.train(toy_store, out=tmp_path / "r", recipe={"epochs": 3}, on_epoch=killed, **how)
    report = udta.train(toy_store, out=tmp_path / "r", recipe={"epochs": 3}, **how)
    scalars, settings = read(tmp_path / "logs" / "r")
    # Of the interrupted one nothing is left, and no epoch is there twice.
    assert scalars["train/loss"] == history(tmp_path / "r")
    assert [step for step, _ in scalars["train/accuracy"]] == [1, 2, 3]
    assert scalars["test/top1"] == [(3, pytest.approx(report.metrics["top1"]))]
    assert (settings["adapter"], settings["seed"], settings["epochs"]) == ("concat_linear", 3, 3)


def test_a_sweep_logs_each_adapter_by_its_name(udta_command, toy_store, tmp_path):
    recipe = {"epochs": 2}
    entries = {"wide": {"adapter": "linear", "recipe": recipe}, "solved": {"adapter": "ridge"}}
    (tmp_path / "sweep.yaml").write_text(json.dumps({"adapters": entries}))
    verb = ("sweep", toy_store, "--adapters", tmp_path / "sweep.yaml", "--out", tmp_path / "s")
    assert udta_command(*verb, "--tensorboard", tmp_path / "logs")[0] == 0
    for name, epochs in (("wide", 2), ("solved", 1)):
        scalars, settings = read(tmp_path / "logs" / name)
        assert scalars["train/loss"] == history(tmp_path / "s" / "runs" / name)
        assert len(scalars["train/loss"]) == epochs
        assert settings["adapter"] == entries[name]["adapter"]


def test_a_missing_package_is_named_before_anything_is_done(toy_store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'udta\[tensorboard\]'"):
        udta.train(toy_store, out=tmp_path / "r", tensorboard=tmp_path / "logs")
    assert not (tmp_path / "r").exists()
