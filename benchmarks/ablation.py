"""What every part of `udta` is worth: one change a row, chosen on training splits, then measured once on test splits.

    python -m benchmarks.ablation STORES [--sets food,flowers] [--rows udta;linear] [--seeds 2] [--folds 3] [--part choose|report]

STORES holds one store a set, with at least the taps of `TAPS`. `choose` cross-validates every row of the table on the rows of
split `train` alone: it is handed those rows and no others, and a fold holds all views of an image. `report` trains every row on
the whole of `train` with several seeds and evaluates it on `test`; the default of the adapter is one of the rows, and nothing in
the code depends on what `report` finds. Both merge their figures into `benchmarks/results/ablation.json`, set by set, and print
them. Seeds are 2 for `choose` and 5 for `report`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import udta
from benchmarks.heads import AttentionPool, ClosedFormStart, LowRank, MovingAverage
from benchmarks.variants import LearnedThroughout
from udta._files.atomic import write_json
from udta._machine.device import own_randomness
from udta.adapters import Adapter
from udta.adapters.linear import Linear
from udta.adapters.udta import Udta
from udta.scoring import view_answers
from udta.tasks.classification_metrics import classification_metrics
from udta.training.loop import fit
from udta.training.sources import training_sources

SETS = ("birds", "butterflies", "flowers", "food", "monkeys")
TAPS = ("features.13", "features.17", "features.18")
RESULT = Path(__file__).parent / "results" / "ablation.json"


@dataclass(frozen=True)
class Row:
    """One line of the table: an adapter with options and changes to its recipe, or to constants of the code."""

    adapter: type[Adapter] = Udta
    options: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)


STEPS = "udta.adapters.covariance.STEPS"
RATE, EPOCHS = "udta.adapters.directions.RATE", "udta.adapters.directions.EPOCHS"
# Each row changes one thing of the adapter as it was before it chose taps, weight and averages by itself.
FIXED = {"second_order": ["features.13", "features.17"], "weight": 1.0, "averages": False}
PRINCIPAL = {**FIXED, "directions": "principal"}
ROWS = {
    "linear": Row(Linear),
    "udta": Row(),
    "nothing chosen": Row(options=FIXED),
    "principal": Row(options=PRINCIPAL),
    "learned throughout": Row(LearnedThroughout, FIXED),
    "learning rate 3": Row(options=FIXED, constants={RATE: 3.0}),
    "learning rate 10": Row(options=FIXED, constants={RATE: 10.0}),
    "10 epochs of directions": Row(options=FIXED, constants={EPOCHS: 10}),
    "one tap: .13": Row(options=FIXED | {"second_order": ["features.13"]}),
    "one tap: .17": Row(options=FIXED | {"second_order": ["features.17"]}),
    "width 32": Row(options=FIXED | {"width": 32}),
    "width 96": Row(options=FIXED | {"width": 96}),
    "20 epochs": Row(options=FIXED, recipe={"epochs": 20}),
    "80 epochs": Row(options=FIXED, recipe={"epochs": 80}),
    "weight decay 5": Row(options=FIXED, recipe={"weight_decay": 5.0}),
    "weight decay 20": Row(options=FIXED, recipe={"weight_decay": 20.0}),
    "no label smoothing": Row(options=FIXED, recipe={"label_smoothing": 0.0}),
    "principal, factor 1/2": Row(options=PRINCIPAL | {"weight": 0.5}),
    "principal, 3 steps": Row(options=PRINCIPAL, constants={STEPS: 3}),
    "principal, factor 1/2, 3 steps": Row(options=PRINCIPAL | {"weight": 0.5}, constants={STEPS: 3}),
    "principal, averages of all taps": Row(options=PRINCIPAL | {"averages": True}),
    "principal, moving average": Row(MovingAverage, PRINCIPAL),
    "principal, low rank": Row(LowRank, PRINCIPAL),
    "principal, attention": Row(AttentionPool, PRINCIPAL),
    "principal, mixup 0.2": Row(options=PRINCIPAL, recipe={"mixup": 0.2}),
    "principal, closed form": Row(ClosedFormStart, PRINCIPAL, {"epochs": 1, "lr": 0.0}),
    "principal, closed-form start": Row(ClosedFormStart, PRINCIPAL),
    "principal, closed-form start, 10 epochs": Row(ClosedFormStart, PRINCIPAL, {"epochs": 10}),
}


def choose(store: udta.Store, rows: np.ndarray, row: Row, folds: int, seeds: int) -> dict[str, Any]:
    """Cross-validated figures of one row of the table on training rows."""
    parts = list(split(store, rows, folds))
    return summary([train(store, row, fold, left_out, seed) for seed in range(seeds) for fold, left_out in parts])


def report(store: udta.Store, row: Row, seeds: int) -> dict[str, Any]:
    """Figures of one row of the table on the test split, over seeds."""
    rows, test = store.rows("train"), store.rows("test")
    return summary([train(store, row, rows, test, seed) for seed in range(seeds)])


def train(store: udta.Store, row: Row, rows: np.ndarray, held_out: np.ndarray, seed: int) -> dict[str, float]:
    """Train on some rows, measure on others; `seconds` of training and reading, on the clock and of the processor."""
    settings = row.adapter.recipe_with(row.recipe)
    with ExitStack() as changed:
        for name, value in row.constants.items():
            changed.enter_context(patch(name, value))
        with own_randomness(seed):
            shapes = {tap.name: tap.shape for tap in store.taps.values()}
            model = row.adapter(shapes, len(store.classes), **row.options)
        batches, every_view = training_sources(model, store, rows, settings, seed, "cpu")
        wall, cpu = time.perf_counter(), time.process_time()
        fit(model, batches, recipe=settings, every_view=every_view, seed=seed)
        spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        log_p = view_answers(model, store, held_out)
    metrics = classification_metrics(log_p, store.labels[held_out])
    return {"top1": metrics["top1"], "top1_views": metrics["top1_views"], **spent}


def split(store: udta.Store, rows: np.ndarray, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds of images."""
    rng = np.random.default_rng(0)
    order = rows[rng.permutation(len(rows))]
    order = order[np.argsort(store.labels[order], kind="stable")]
    for fold in range(folds):
        left_out = np.arange(len(order)) % folds == fold
        yield np.sort(order[~left_out]), np.sort(order[left_out])


def summary(found: list[dict[str, float]]) -> dict[str, Any]:
    """Mean of every figure, and the standard deviation of the accuracies."""
    means = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
    spread = {f"{key}_std": float(np.std([each[key] for each in found])) for key in ("top1", "top1_views")}
    return {**means, **spread, "top1_each": [each["top1"] for each in found]}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--rows", help="names of rows, separated by semicolons; all by default")
    parser.add_argument("--seeds", type=int, help="of every training; 2 to choose and 5 to report by default")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--part", choices=("choose", "report"), default="choose")
    arguments = parser.parse_args()
    for name in arguments.sets.split(","):
        store = udta.open_store(arguments.stores / name)
        for label in arguments.rows.split(";") if arguments.rows else ROWS:
            row = ROWS[label]
            if arguments.part == "choose":
                figures = choose(store, store.rows("train"), row, arguments.folds, arguments.seeds or 2)
            else:
                figures = report(store, row, arguments.seeds or 5)
            print(
                f"{arguments.part} {name:12} {label:20} top-1 {100 * figures['top1']:.1f} +- {100 * figures['top1_std']:.1f}"
                f"  views averaged {100 * figures['top1_views']:.1f} +- {100 * figures['top1_views_std']:.1f}"
                f"  {figures['seconds']:.1f} s ({figures['cpu_seconds']:.1f} s CPU)",
                flush=True,
            )
            keep(arguments.part, name, label, figures)


def keep(part: str, name: str, label: str, figures: Mapping[str, Any]) -> None:
    """Merge one figure into the result file, so that a run can be done in pieces."""
    document = json.loads(RESULT.read_text()) if RESULT.exists() else {"cores": os.cpu_count(), "taps": TAPS}
    document.setdefault(part, {}).setdefault(name, {})[label] = dict(figures)
    write_json(RESULT, document)


if __name__ == "__main__":
    main()
