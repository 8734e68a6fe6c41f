"""Whatever moment a verb is killed at, the same command again ends as if it had not been; see `kill_points`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_points.py")
WITH_A_CARELESS_VERB = f"""
import sys
sys.path[:0] = [{str(SCRIPT.parent)!r}, {str(SCRIPT.parent.parent)!r}]
import json
from pathlib import Path
from kill_points import Scenario, run

def careless():
    with open("half.partial", "w") as file:
        file.write("x" * 9)
    with open("out", "w") as file:
        file.write("whole")
    Path("half.partial").unlink()

def read():
    assert not Path("out").exists() or Path("out").read_text() == "whole"

def forgetful():
    if not Path("out").exists():
        Path("out").write_text("whole")
        Path("more").write_text("whole")

for call in (careless, forgetful):
    print(json.dumps(run(Scenario(call.__name__, call, read=read)).broken))
"""


def script(*arguments, code=None):
    command = [sys.executable, *(("-c", code) if code else (str(SCRIPT), "--json")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_kept(outcomes):
    broken = [f"{outcome['name']}: killed {problem}" for outcome in outcomes for problem in outcome["broken"]]
    assert not broken, "\n".join(broken)
    assert all(outcome["killed"] for outcome in outcomes)


def test_what_a_careless_verb_breaks_is_found():
    careless, forgetful = script(code=WITH_A_CARELESS_VERB)
    assert any("a reader met" in problem for problem in careless)
    assert any("more is missing" in problem for problem in forgetful)


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_kills_at_changes_all_over_every_verb(half):
    """In two halves, so that two workers share them. The script without arguments takes all changes: some 1,400, 20 minutes."""
    names = [line["name"] for line in script("--points", "1")]
    assert_kept(script("--points", "12", *names[half::2]))
