"""The stage graph in a copy of the repository: what re-runs, what does not, and what a kill leaves."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from toy import photographs

import udta
from udta.adapters import load_adapter
from udta.project._code import SOURCES

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path):
    """The files of the graph, with a smaller `run`, in a repository of their own."""
    return _clone(tmp_path)


def _clone(folder):
    pytest.importorskip("dvc", reason="needs the extra `repro`")
    clone = folder / "clone"
    clone.mkdir()
    for name in ("stages", "data", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, clone / name)
    (clone / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", clone / ".dvc")
    change(clone, lambda p: p["run"].update(generate=["digits-100"], datasets=["digits-100"], adapters=["linear"]))
    change(clone, lambda p: p["backbones"]["letters"].update(views=2))
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=clone, check=True)
    return clone


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A clone in which `dvc repro` has run, made once: it takes eight processes."""
    clone = _clone(tmp_path_factory.mktemp("done"))
    assert [name.partition("@")[0] for name in ran(dvc(clone, "repro"))] == [
        "check", "generate", "prepare", "extract", "train", "evaluate", "report",
    ]  # fmt: skip
    return clone


@pytest.fixture
def reproduced(done, tmp_path):
    """A copy of that one."""
    return shutil.copytree(done, tmp_path / "clone", symlinks=True)


def change(clone, edit):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    edit(params)
    (clone / "params.yaml").write_text(yaml.safe_dump(params))


def environment(**more):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore", **more}


def dvc(clone, *arguments, **more):
    done = subprocess.run(
        ["dvc", *arguments], cwd=clone, env=environment(**more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output):
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def test_only_what_depends_on_a_change_runs_again(reproduced):
    clone = reproduced
    assert ran(dvc(clone, "repro")) == ["check"]
    assert "top1" in dvc(clone, "metrics", "show")

    change(clone, lambda p: p["adapters"]["linear"].update(recipe={"epochs": 5}))
    again = ran(dvc(clone, "repro"))
    assert {"train@letters-digits-100", "evaluate@letters-digits-100-linear"} <= set(again)
    assert not any(name.startswith(("extract", "prepare")) for name in again)

    change(clone, lambda p: p["backbones"]["letters"].update(views=3))
    dvc(clone, "repro")  # a parameter that decides features: the store is replaced, not mixed
    assert udta.open_store(clone / "stores" / "letters" / "digits-100").n_views == 3

    change(clone, lambda p: p["run"].update(adapters=["linear", "concat_linear"]))
    again = ran(dvc(clone, "repro"))
    assert {"train@letters-digits-100", "evaluate@letters-digits-100-concat_linear"} <= set(again)
    assert not any(name.startswith(("extract", "prepare")) for name in again)
    assert ran(dvc(clone, "repro")) == ["check"]

    change(clone, lambda p: p["run"].update(generate=["digits-100", "greek"], datasets=["digits-100", "greek"]))
    again = ran(dvc(clone, "repro"))
    assert again
    assert all("greek" in name or name in ("check", "report") for name in again)
    table = (clone / "out" / "report" / "results.txt").read_text()
    assert "digits-100" in table
    assert "greek" in table


def test_drawings_and_charts_of_the_report_are_shown_offline(reproduced):
    """Behind a proxy that nobody serves; the charts are data in the page, the drawings files beside it."""
    report = reproduced / "out" / "report"
    assert "digits-100" in (report / "report.html").read_text()
    said = dvc(reproduced, "plots", "show", https_proxy="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    assert "WARNING" not in said
    page = (reproduced / "dvc_plots" / "index.html").read_text()
    for drawing in (report / "report_files").iterdir():
        assert drawing.name in page
    assert "The figure of each run on its test images" in page
    assert "The same against seconds of training" in page
    assert "digits-100 letters linear" in page


# What no result depends on: words for people, the command, the models of params.yaml (its values are parameters of stages), and
# the memory, cores and processes of the machine. An `__init__` names what lies beside it.
DECIDES_NOTHING = {"_console", "_machine", "cli", "config", "errors", "options", "project", "__init__", "__main__"}


def test_a_stage_depends_on_every_source_that_decides_its_result(clone, tmp_path):
    """Compares what `check` hashes with the modules that are loaded when a stage ends: one that is missing leaves stale results.

    `extract` is the exception: its code is in the fingerprint and the probe of a store, and here as FEATURE_VERSION.
    """
    (tmp_path / "sitecustomize.py").write_text(RECORD_MODULES)
    inherited = os.environ.get("PYTHONPATH", "")
    dvc(clone, "repro", PYTHONPATH=f"{tmp_path}:{inherited}", RECORD_IN=str(tmp_path))
    for stage, sources in SOURCES.items():
        assert f"project/stages/{stage}_stage.py" in sources
        loaded = {Path(line) for line in (tmp_path / f"{stage}.modules").read_text().splitlines()}
        assert len(loaded) > 3
        missing = {
            source
            for source in loaded
            if not DECIDES_NOTHING & {source.with_suffix("").parts[0], source.stem}
            and not any(source.is_relative_to(dep) for dep in sources)
        }
        assert not missing, f"stage {stage} does not depend on {sorted(map(str, missing))}"


RECORD_MODULES = """
import atexit, os, sys
from pathlib import Path

def record():
    if sys.argv[1:2] != ["stage"]:
        return
    files = [getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if name.startswith("udta")]
    lines = [file.rpartition("pipeline/udta/")[2] + "\\n" for file in files if "pipeline/udta/" in file]
    with (Path(os.environ["RECORD_IN"]) / f"{sys.argv[2]}.modules").open("a") as out:
        out.writelines(lines)

atexit.register(record)
"""


def test_a_name_is_refused_before_a_shell_or_a_folder_meets_it(clone):
    hostile = "digits-100; touch PWNED #"
    change(clone, lambda p: p["datasets"].update({hostile: p["datasets"]["digits-100"], "pets.v2": {}}))
    change(clone, lambda p: p["run"].update(generate=[hostile], datasets=[hostile, "pets.v2"]))
    before = sorted(path.name for path in clone.iterdir())
    for arguments in (["repro"], ["repro", "-s", f"generate@{hostile}"]):
        done = subprocess.run(
            ["dvc", *arguments], cwd=clone, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert f"run.datasets names {hostile!r}" in done.stdout + done.stderr
        assert "run.datasets names 'pets.v2'" in done.stdout + done.stderr
        (clone / "out" / "checked").mkdir(parents=True, exist_ok=True)
        (clone / "out" / "checked" / "params.txt").touch()  # of a time when all was well
    assert sorted(path.name for path in clone.iterdir() if path.name != "out") == before


def test_an_experiment_runs_offline(reproduced):
    clone = reproduced
    subprocess.run(["git", "add", "dvc.lock"], cwd=clone, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, "commit", "-qm", "results"], cwd=clone, check=True)
    file = clone / "out" / "sweeps" / "letters-digits-100" / "runs" / "linear" / "adapter.safetensors"
    first = load_adapter(file)[0].state_dict()
    output = dvc(clone, "exp", "run", "-S", "adapters.linear.seed=1")
    assert "train@letters-digits-100" in ran(output)
    assert "extract@letters-digits-100" not in ran(output)
    # It begins at zero, so that nothing but the order and the views of its own seed makes another adapter of it.
    assert not all(torch.equal(values, first[name]) for name, values in load_adapter(file)[0].state_dict().items())


@pytest.mark.parametrize(
    ("victim", "shell"),
    [("dvc", "bash"), ("dvc", "sh"), ("stage", "sh")],  # bash replaces itself by the stage, dash stays between
)
def test_a_kill_is_continued_from_the_last_committed_block_without_a_second_writer(clone, victim, shell):
    change(clone, lambda p: p["backbones"]["letters"].update(views=6))  # long enough to be hit
    store, repro = clone / "stores" / "letters" / "digits-100", ["repro", "extract@letters-digits-100"]
    process = subprocess.Popen(
        ["dvc", *repro],
        cwd=clone,
        env={**environment(), "SHELL": shutil.which(shell) or pytest.skip(f"no {shell} here")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(list(store.glob("ledger/*/zarr.json"))) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    [stage] = stage_processes(clone)
    os.kill(process.pid if victim == "dvc" else stage, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5
    while stage_processes(clone):
        assert time.monotonic() < deadline, "the stage outlived dvc"
        time.sleep(0.05)
    before = udta.open_store(store)
    assert 0 < before.n_committed < len(before)
    records = {path: path.stat().st_mtime_ns for path in store.glob("ledger/*/zarr.json")}
    dvc(clone, *repro)
    assert udta.open_store(store).complete
    assert all(path.stat().st_mtime_ns == written for path, written in records.items())
    report = json.loads((clone / "out" / "features" / "letters" / "digits-100.json").read_text())
    assert report["computed_rows"] == len(before) - before.n_committed


def stage_processes(clone):
    """Processes that run `udta stage extract` in this clone (not the shell that started them)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            here = (entry / "cwd").resolve() == clone.resolve()
        except OSError:
            continue
        if here and arguments[2:4] == [b"stage", b"extract"]:
            found.append(int(entry.name))
    return found


def test_a_set_of_ones_own_as_the_page_adds_it(clone, tmp_path):
    """The lines that it shows, and no stage of any other set."""
    [shown] = re.findall(r"^```yaml\n(# params.yaml\n.*?)^```$", (ROOT / "docs" / "graph.md").read_text(), re.M | re.S)
    lines = yaml.safe_load(shown.replace("/photographs", str(tmp_path / "photographs")))
    photographs(tmp_path / "photographs" / "mine", per_class=2)

    def as_shown(params):
        for table, entries in lines.items():
            params[table].update(entries)

    change(clone, as_shown)
    stages = {name.partition("@") for name in dvc(clone, "stage", "list", "--name-only").split()}
    assert {name for name, _, _ in stages} == {"check", "prepare", "extract", "train", "evaluate", "report"}
    assert all("mine" in item for name, _, item in stages if name not in ("check", "report"))
    assert ran(dvc(clone, "repro", "prepare")) == ["check", "prepare@mine"]
