"""Whatever of ours is damaged in whatever way, who reads it gets the right values or a clear error; see `damage`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("damage.py")
SUBJECTS = ("store zarr", "store hdf5", "run", "checkpoint", "sweep", "cut sweep", "report")


def assert_noticed(*arguments):
    command = [sys.executable, str(SCRIPT), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    broken = [f"{outcome['name']}: {problem}" for outcome in outcomes for problem in outcome["broken"]]
    assert not broken, "\n".join(broken)
    assert all(outcome["damages"] for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_kind_of_damage_of_every_file(subject):
    assert_noticed("--flips", "4", subject)
