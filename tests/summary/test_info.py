"""`udta.info`: what lies at a path, as its files tell it, without torch."""

import json
import shutil
import subprocess
import sys

import pytest

import udta
from udta.adapters import load_adapter
from udta.errors import AdapterError, NotAStoreError
from udta.summary import RunInfo, StoreInfo
from udta.summary._run_info import FIGURES
from udta.tasks import FIGURE_NAMES


@pytest.fixture(scope="module")
def run(toy_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "narrow"
    udta.train(toy_store, out=path, adapter="concat_linear", recipe={"epochs": 2, "lr": 0.002}, seed=3)
    return path


@pytest.fixture(scope="module")
def swept(toy_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps") / "sweep"
    udta.sweep(toy_store, adapters={"adapters": {name: {"adapter": name} for name in ("ridge", "knn")}}, out=path)
    return path


def test_a_run_is_what_was_trained(run, toy_store):
    found, header = udta.info(run), load_adapter(run)[1]
    assert isinstance(found, RunInfo)
    assert (found.adapter, found.classes, found.task) == ("concat_linear", header.classes, "multiclass")
    assert [tap["name"] for tap in found.taps] == ["stage1", "stage2"]
    assert (found.recipe["epochs"], found.recipe["lr"], found.training["seed"]) == (2, 0.002, 3)
    measured = json.loads((run / "metrics.json").read_text())
    assert found.figure == ("top1", measured["top1"])
    assert (found.parameters, found.cost) == (measured["parameters"], measured["cost"])
    store = udta.open_store(toy_store)
    assert found.to_json()["fingerprint"]["sha256"] == store.fingerprint.digest
    assert found.files.keys() == {"adapter.safetensors", "history.csv", "metrics.json"}
    text = str(found)
    for part in (", epochs=2, ", "toy:net", "stage1 = grid(4) 8x4x4 float16", f"top1 {measured['top1']:.4f} ["):
        assert part in text


def test_the_figures_are_those_of_the_tasks():
    assert list(FIGURES) == list(FIGURE_NAMES)


def test_an_adapter_file_alone_is_the_same_without_its_cost(run, tmp_path):
    shutil.copy(run / "adapter.safetensors", tmp_path / "sent.safetensors")
    found = udta.info(tmp_path / "sent.safetensors")
    assert (found.adapter, found.metrics) == ("concat_linear", udta.info(run).metrics)
    assert (found.parameters, found.cost, list(found.files)) == (None, {}, ["sent.safetensors"])


def test_a_folder_of_runs_has_a_line_for_each(swept, run, udta_command):
    found = udta.info(swept)
    assert (found.sweep, list(found.runs)) == ("finished", ["runs/knn", "runs/ridge"])
    status, out, _ = udta_command("info", swept)
    assert (status, len(out.splitlines())) == (0, 4)
    assert "runs/ridge" in out.splitlines()[3]
    assert list(udta.info(run.parent).runs) == ["narrow"]
    (swept / "results.csv").unlink()
    (swept / "runs" / "knn" / "adapter.safetensors").write_bytes(b"no adapter")
    text = str(udta.info(swept))
    assert "1 run(s) of a sweep that is UNFINISHED" in text
    assert "runs/knn/adapter.safetensors: not a readable" in text


def test_a_store_is_told_by_its_document(toy_store, udta_command):
    found = udta.info(toy_store)
    assert isinstance(found, StoreInfo)
    assert found.to_json() == json.loads(udta_command("info", toy_store, "--json")[1])


def test_what_is_none_of_these_is_refused(run, tmp_path, udta_command):
    with pytest.raises(NotAStoreError):
        udta.info(tmp_path)
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(AdapterError, match="interrupted: the same `udta train` goes on"):
        udta.info(tmp_path)
    whole = (run / "adapter.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "metrics.json").write_text("no JSON")
    (tmp_path / "adapter.safetensors").write_bytes(whole)
    for path, reason in ((tmp_path / "short.safetensors", "cut short"), (tmp_path, "cannot be read")):
        status, _, err = udta_command("info", path)
        assert (status, reason in err) == (1, True), err


def test_it_does_not_wait_for_torch(run, swept, toy_store):
    code = f"import sys, udta; [str(udta.info(path)) for path in {[str(run), str(swept), str(toy_store)]}]"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert "torch" not in done.stdout.split()
