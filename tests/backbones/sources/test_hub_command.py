"""From a hub through the command: fetched once, told of, and the same without a network from then on."""

import json
import logging

import pytest
from click.testing import CliRunner
from timm_hub import saved

from udta.cli.main import command

pytest.importorskip("timm", reason="needs the extra timm")


def test_a_store_of_a_hub_s_model_asks_nobody_once_it_is_made(hub, photos, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "udta")
    arguments = {"depth": 2, "embed_dim": 48, "num_classes": 10, "img_size": 64}
    commit = hub.add("someone/birds", saved(tmp_path / "model", "vit_tiny_patch16_224", **arguments)[1])

    def run(*words):
        done = CliRunner().invoke(command, [*words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    options = ("--backbone", "hf-hub:someone/birds", "--taps", "blocks.0=grid,pooled", "--transform", "resize(96,64)")
    report = run("extract", str(photos), *options, "--out", "s.zarr")
    assert (report["weights_id"], report["weights_revision"]) == ("someone/birds", commit)
    assert "downloading model.safetensors of someone/birds" in caplog.text
    hub.requests.clear()
    with hub.reachable(offline=True):
        info = run("info", "s.zarr")
        assert info["source"]["weights"] == f"pretrained@{commit}"
        assert [tap["shape"] for tap in info["taps"]] == [[48, 6, 4], [48]]
        run("verify", "s.zarr", "--recompute", "4")
        run("train", "s.zarr", "--adapter", "linear", "--epochs", "2", "--out", "run")
        assert run("predict", str(photos), "--adapter", "run", "--out", "p.csv")["images"] == 24
    assert hub.requests == []
