"""A model of transformers through the command: from the name of a repository to predictions without a network."""

import csv
import json
from importlib.metadata import version

import pytest
import tiny_hf

from udta.cli import main

pytest.importorskip("transformers", reason="needs the extra transformers")


@pytest.fixture
def command(capsys):
    """Run the command in this process: what it said."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert caught.value.code == 0, captured.err
        assert "LOAD REPORT" not in captured.out + captured.err  # the library's table of keys
        return captured.out

    return run


@pytest.mark.slow
def test_extract_train_predict_with_a_repository(command, hub, photos, tmp_path):
    tiny_hf.save("dinov2_registers", tmp_path / "model")
    commit = hub.add("someone/dinov2", tmp_path / "model")
    store, run, table = tmp_path / "s.zarr", tmp_path / "run", tmp_path / "predictions.csv"
    taps = "encoder.layer.1=grid(4),encoder.layer.3=cls,encoder.layer.3=avg,pooled"
    command("extract", photos, "--backbone", "hf:someone/dinov2", "--taps", taps, "--views", "2", "--out", store)
    attributes = (store / "zarr.json").read_text()
    assert f"pretrained@{commit}" in attributes
    assert f'"transformers": "{version("transformers")}"' in attributes
    command("train", store, "--adapter", "linear", "--out", run)
    asked = len(hub.requests)
    with hub.reachable(offline=True):
        command("predict", photos, "--adapter", run, "--out", table)
        command("verify", store, "--recompute", "4")
    assert len(hub.requests) == asked
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == 24


@pytest.mark.slow
def test_taps_of_a_folder_are_called_as_transformers_calls_its_modules(command, tmp_path):
    tiny_hf.save("siglip", tmp_path / "model")
    listed = json.loads(command("taps", f"hf:{tmp_path / 'model'}", "--json"))
    names = [tap["name"] for tap in listed["taps"]]
    assert {"encoder.layers.3", "post_layernorm", "head", "pooled", "classifier"} <= set(names)
    assert names.index("head") < names.index("pooled") < names.index("classifier")
