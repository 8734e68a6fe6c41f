"""Training while every core has other work to do: processor seconds beside those on cores that are idle otherwise.

    python -m benchmarks.busy STORE [--adapter udta] [--rounds 3]

Each measurement is a process of its own that trains once, as a program that calls `udta.train` (threads that wait keep their
cores), as the `udta` command does (they sleep), and with one thread. A busy neighbour is an endless loop pinned to each core.
Processor seconds are of all threads, user and system, training with reading; medians of the rounds count. Prints the ratios busy
/ idle and writes `benchmarks/results/busy.json`, with the load of the machine as it was found: what others run is no part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from udta._files.atomic import write_json

RESULT = Path(__file__).parent / "results" / "busy.json"
WAYS: dict[str, dict[str, str]] = {
    "call": {},
    "command": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
TRAIN = "import json, sys, udta; print(json.dumps(udta.train(sys.argv[1], adapter=sys.argv[2], out=sys.argv[3]).cost))"


@contextmanager
def neighbours() -> Iterator[None]:
    """An endless loop on each core."""
    loops: list[subprocess.Popen[bytes]] = []
    try:
        for core in sorted(os.sched_getaffinity(0)):
            code = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: 0"
            loops += [subprocess.Popen([sys.executable, "-c", code])]
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def trained(store: Path, adapter: str, way: str) -> dict[str, float]:
    """Wall-clock and processor seconds of one training."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAIN, str(store), adapter, f"{folder}/run"]
        done = subprocess.run(command, env={**plain, **WAYS[way]}, capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout)
    return {"wall": cost["train_seconds"], "cpu": cost["train_cpu_seconds"]}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--adapter", default="udta")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    load = os.getloadavg()
    found: dict[str, dict[str, list[dict[str, float]]]] = {way: {"idle": [], "busy": []} for way in WAYS}
    for _ in range(arguments.rounds):
        for way, times in found.items():
            times["idle"].append(trained(arguments.store, arguments.adapter, way))
            with neighbours():
                times["busy"].append(trained(arguments.store, arguments.adapter, way))
    medians = {
        way: {
            when: {kind: statistics.median(each[kind] for each in runs) for kind in ("wall", "cpu")}
            for when, runs in times.items()
        }
        for way, times in found.items()
    }
    for way, figures in medians.items():
        busy, idle = figures["busy"], figures["idle"]
        cpu, wall = (f"{busy[kind]:.1f} s beside {idle[kind]:.1f} s idle" for kind in ("cpu", "wall"))
        print(f"{way}: processor {cpu}, ratio {busy['cpu'] / idle['cpu']:.2f}; wall clock {wall}")
    write_json(
        RESULT,
        {"torch": torch.__version__, "cores": len(os.sched_getaffinity(0)), "load_before": load, "adapter": arguments.adapter,
         "seconds": medians, "ratio": {way: each["busy"]["cpu"] / each["idle"]["cpu"] for way, each in medians.items()}},
    )  # fmt: skip


if __name__ == "__main__":
    main()
