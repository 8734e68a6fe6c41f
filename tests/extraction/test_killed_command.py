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


def committed(path):
    return len(list(path.glob("ledger/*/zarr.json")))


def wait_for_a_block(process, path):
    """Return when it has committed one more, or has ended."""
    before = committed(path)
    while process.poll() is None and committed(path) == before:
        time.sleep(0.01)


@pytest.mark.slow
def test_20_kills_of_the_command_equal_no_kill(tmp_path):
    """Every fourth falls anywhere in a start, the others around the second block of a run or the third."""
    images, rng = photographs(tmp_path / "photos", per_class=1000), random.Random(SEED)
    begun = time.monotonic()
    whole = subprocess.Popen(command(images, tmp_path / "whole"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_a_block(whole, tmp_path / "whole")
    start = time.monotonic() - begun
    assert whole.wait() == 0
    block = (time.monotonic() - begun - start) / (committed(tmp_path / "whole") - 1)
    finished, kills, path = 0, 0, tmp_path / "store-0"
    while kills < KILLS:
        process = subprocess.Popen(command(images, path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kills % 4:
            wait_for_a_block(process, path)
        try:
            assert process.wait(rng.uniform(0, 2 * block if kills % 4 else start)) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        if path.exists():
            store = udta.open_store(path)
            if store.complete:
                # A kill may fall between the last block and the mark that there is no other: the next run sets it.
                subprocess.run(command(images, path), check=True, capture_output=True)
                assert tree(path) == tree(tmp_path / "whole"), f"seed {SEED}"
                finished += 1
                path = tmp_path / f"store-{finished}"
            elif store.n_committed:
                store.read(range(store.layout.block_rows))  # whatever is committed can be read
    subprocess.run(command(images, path), check=True, capture_output=True)
    assert tree(path) == tree(tmp_path / "whole"), f"seed {SEED}"
