"""Ctrl-C in the middle of a native call of many seconds: every long verb ends soon, cleanly, and says how to go on."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

# What every long verb calls while it works, in its main thread; the product takes 10 s and more on one core.
CHILD = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may ignore it
import torch
from udta._console.display import ProgressDisplay
from udta.cli import main

def busy(self, name, done, total, note=""):
    pathlib.Path(sys.argv[1]).touch()
    matrix = torch.ones(9000, 9000)
    matrix @ matrix @ matrix

ProgressDisplay.__call__ = busy
main(sys.argv[2:])
"""
PATIENCE_S = 120


@pytest.fixture(scope="module")
def run(toy_store, tmp_path_factory):
    import udta

    out = tmp_path_factory.mktemp("runs") / "ridge"
    udta.train(toy_store, adapter="ridge", out=out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["extract", "train", "sweep", "predict", "export", "verify"])
def test_a_long_verb_ends_within_moments(verb, photos, toy_store, run, tmp_path):
    (tmp_path / "sweep.yaml").write_text("adapters: {linear: {adapter: linear}, udta: {adapter: udta}}")
    out = tmp_path / "the out"
    out.mkdir()
    arguments = {
        "extract": (photos, "--backbone", "toy:net", "--taps", "stage2=avg", "--out", out / "s"),
        "train": (toy_store, "--adapter", "linear", "--out", out / "run"),
        "sweep": (toy_store, "--adapters", tmp_path / "sweep.yaml", "--out", out / "sweep"),
        "predict": (photos, "--adapter", run, "--backbone", "toy:net", "--out", out / "p.csv"),
        "export": (toy_store, "--to", "npy", "--out", out / "e"),
        "verify": (toy_store,),
    }[verb]
    command = [verb, *map(str, arguments)]
    mark = tmp_path / "busy"
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, mark, *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own: whoever is left of it is an orphan
    )
    began = time.monotonic()
    while not mark.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.02)
    time.sleep(0.3)  # into the product
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    # 0.8 s; the rest is for machines that have other work to do.
    assert time.monotonic() - sent < 3
    assert process.returncode == 130
    assert "Traceback" not in err
    told = err[err.index("interrupted") :].splitlines()
    assert shlex.split(told[-1]) == ["again:", "udta", *command]
    if verb == "extract":
        assert told[1].endswith("blocks are committed; the same command starts again")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    left = {path.name for path in out.rglob("*")}
    assert not [name for name in left if name.endswith((".partial", ".lock"))]
    assert not left & {"e", "p.csv", "adapter.safetensors"}
