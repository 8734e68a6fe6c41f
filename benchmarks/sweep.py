"""32 `udta` adapters in one sweep against `udta.train` one by one, alternating in one run.

    python -m benchmarks.sweep STORE [--adapters 32] [--epochs 40] [--rounds 3] [--device cuda]

The adapters are seeds x learning rates x weight decays x label smoothings of the default `udta`; the single trainings are some of
them, one before and one after every sweep, so that a change of the machine's load meets both. Times are of training with
reading, without evaluation: wall clock, and processor time of the process, which other processes disturb less; the medians
count. Prints the ratio of the time per adapter and both mean accuracies, writes `benchmarks/results/sweep.json`, or
`sweep-cuda.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import udta
from udta._files.atomic import write_json
from udta._machine.memory import freed_memory_kept
from udta.scoring import evaluate_rows
from udta.training import loop as trainer
from udta.training.sources import training_sources
from udta.training.sweep import _epochs as epochs
from udta.training.sweep import _spec as spec
from udta.training.sweep import _trial as trial
from udta.training.sweep._group import CHUNK

RESULTS = Path(__file__).parent / "results"
GRID = {"lr": [0.0005, 0.001], "weight_decay": [5.0, 10.0], "label_smoothing": [0.05, 0.1]}
Times = dict[str, list[float]]


def members(count: int, epochs: int) -> list[spec.Member]:
    """As many adapters as asked: the product of `GRID` with enough seeds."""
    seeds = list(range(-(-count // int(np.prod([len(values) for values in GRID.values()])))))
    entry = {"seeds": seeds, "recipe": {"epochs": epochs}, "grid": {"recipe": GRID}}
    return spec.expand(spec.parse({"adapters": {"udta": entry}}, "benchmark"), "benchmark", Path())[:count]


@contextmanager
def clock(times: Times, share: int) -> Iterator[None]:
    """Wall-clock and processor seconds of the block, for each of `share` adapters."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    times["wall"].append((time.perf_counter() - wall) / share)
    times["cpu"].append((time.process_time() - cpu) / share)


def train_together(
    store: udta.Store, chosen: list[spec.Member], times: Times, runs: Path, device: str
) -> dict[str, float]:
    """Top-1 by name; the clock runs while epochs are trained, not while finished adapters are evaluated and written."""
    trials = trial.make_trials(store, chosen, validation=0, seed=0)
    spent: Times = {"wall": [], "cpu": []}
    with clock(spent, len(chosen)):  # directions are solved here
        together = epochs.SweepLoop(store, trials, None, runs, 0, device)
        together.begin()
    while together.active:
        with clock(spent, len(chosen)):
            together.train_epoch()
        together.settle()
    for kind, parts in spent.items():
        times[kind].append(sum(parts))
    return {each.member.name: each.metrics["top1"] for each in trials}


def train_alone(store: udta.Store, member: spec.Member, times: Times, device: str) -> float:
    """Top-1; in the order and views that the adapter has in the sweep. The clock is stopped before the evaluation."""
    trained = trial.make_trials(store, [member], validation=0, seed=0)[0]
    source, every_view = training_sources(trained.model, store, trained.rows, member.settings, member.seed, device)
    with clock(times, 1):
        trainer.fit(
            trained.model, source, recipe=member.settings, every_view=every_view, seed=member.seed, device=device
        )
    return float(evaluate_rows(trained.model, store, store.classes, store.rows("test"), device)["top1"])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--adapters", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    store, chosen = udta.open_store(arguments.store), members(arguments.adapters, arguments.epochs)
    alone: Times = {"wall": [], "cpu": []}
    together: Times = {"wall": [], "cpu": []}
    tops: dict[str, list[float]] = {"single": [], "same in the sweep": [], "sweep": []}
    with tempfile.TemporaryDirectory() as folder, freed_memory_kept(arguments.device):
        for number in range(arguments.rounds):
            pair = [chosen[(2 * number + side) * 5 % len(chosen)] for side in (0, 1)]
            tops["single"].append(train_alone(store, pair[0], alone, arguments.device))
            found = train_together(store, chosen, together, Path(folder) / str(number), arguments.device)
            tops["single"].append(train_alone(store, pair[1], alone, arguments.device))
            tops["same in the sweep"] += [found[member.name] for member in pair]
            tops["sweep"] += list(found.values())
    ratios = {kind: statistics.median(together[kind]) / statistics.median(alone[kind]) for kind in alone}
    means = {name: float(np.mean(values)) for name, values in tops.items()}
    print(f"time per adapter, sweep / single: {ratios['wall']:.2f} wall clock, {ratios['cpu']:.2f} processor")
    print("mean top-1: " + ", ".join(f"{name} {100 * value:.1f}" for name, value in means.items()))
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    document = {
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "cores": os.cpu_count(), "load": os.getloadavg(), "threads": torch.get_num_threads(),
        "adapters": len(chosen), "chunk": CHUNK[arguments.device], "device": device, "epochs": arguments.epochs,
        "train_samples": len(store.rows("train")), "taps": {name: list(tap.shape) for name, tap in store.taps.items()},
        "ratio": ratios, "seconds": {"single": alone, "sweep": together}, "top1": means,
    }  # fmt: skip
    write_json(RESULTS / ("sweep.json" if arguments.device == "cpu" else "sweep-cuda.json"), document)


if __name__ == "__main__":
    main()
