"""What the command costs before it works: processor seconds of `udta --help`, of the help of every verb, and of `udta info`.

    python -m benchmarks.startup STORE [--rounds 5]

Processor seconds, user and system, of a process of its own each; the median of the rounds counts, and beside it the ratio to
`python -c pass` on the same machine in the same rounds. Aims: 0.3 s for `udta --help`, 0.5 s for the help of a verb, 1 s for
`udta info`. Prints a table, writes `benchmarks/results/startup.json`, and exits with 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.synthetic import versions
from udta._console.text_table import text_table
from udta._files.atomic import write_json
from udta.cli.main import VERBS

RESULT = Path(__file__).parent / "results" / "startup.json"
NOTHING = "python -c pass"


def processor_seconds(arguments: Sequence[str]) -> float:
    """Of one process, from its start to its end."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", help="for `udta info`")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    commands = {NOTHING: ["-c", "pass"], "udta --help": ["-m", "udta", "--help"]}
    commands |= {f"udta {verb} --help": ["-m", "udta", verb, "--help"] for verb in VERBS}
    commands["udta info STORE"] = ["-m", "udta", "info", options.store]
    aims = dict.fromkeys(commands, 0.5) | {NOTHING: None, "udta --help": 0.3, "udta info STORE": 1.0}
    # A round goes through all of them: what else the machine does falls on each.
    rounds = [{name: processor_seconds(given) for name, given in commands.items()} for _ in range(options.rounds)]
    seconds = {name: statistics.median(each[name] for each in rounds) for name in commands}
    found = {
        name: {
            "processor_seconds": round(value, 3),
            "times_nothing": round(value / seconds[NOTHING], 1),
            "aim": aims[name],
        }
        for name, value in seconds.items()
    }
    rows = [
        (name, f"{row['processor_seconds']:.3f}", f"{row['times_nothing']:.1f}", str(row["aim"] or ""))
        for name, row in found.items()
    ]
    print(text_table(("command", "processor s", "times nothing", "aim"), rows))
    write_json(RESULT, {"rounds": options.rounds, "load": os.getloadavg(), "versions": versions(), "commands": found})
    missed = [name for name, row in found.items() if row["aim"] and row["processor_seconds"] > row["aim"]]
    sys.exit(f"above the aim: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
