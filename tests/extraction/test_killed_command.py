"""Real extractions, killed with -9 at random moments, end in the bits of an uninterrupted one."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import photographs

import udta

KILLS = 20
SEED = 20_220_310
TESTS = str(Path(__file__).parent.parent)


def command(images, out):
    code = f"import sys; sys.path.insert(0, {TESTS!r}); from udta.cli import main; main()"
    options = (
        "--backbone",
        "toy:net",
        "--taps",
        "stage1=grid(4),stage2=avg",
        "--views",
        "2",
        "--compute",
        "float32",
        "--out",
        out,
    )
    return [sys.executable, "-c", code, "extract", *map(str, (images, *options))]


def tree(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_20_kills_of_the_command_equal_no_kill(tmp_path):
    """The moments are spread over the whole life of a run, start-up included; most fall where blocks are written."""
    images, rng = photographs(tmp_path / "photos", per_class=400), random.Random(SEED)
    started = time.monotonic()
    subprocess.run(command(images, tmp_path / "whole"), check=True, capture_output=True)
    life = time.monotonic() - started
    finished, kills, path = 0, 0, tmp_path / "store-0"
    while kills < KILLS:
        process = subprocess.Popen(command(images, path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert process.wait(life * rng.uniform(0.5, 1.0)) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        if path.exists():
            store = udta.open_store(path)
            if store.complete:
                assert tree(path) == tree(tmp_path / "whole"), f"seed {SEED}"
                finished += 1
                path = tmp_path / f"store-{finished}"
            elif store.n_committed:
                store.read(range(store.layout.block_rows))  # whatever is committed can be read
    subprocess.run(command(images, path), check=True, capture_output=True)
    assert tree(path) == tree(tmp_path / "whole"), f"seed {SEED}"
