"""Rare classes: what each way to make up for them is worth on long-tailed versions of two sets; docs/imbalance.md from it.

    python -m benchmarks.imbalance STORES [--seeds 5] [--sets birds,food]

STORES holds a store a set, with a MobileNetV2's default taps. Tails that are measured already are not measured again. The
training split is thinned so that the frequency of classes falls exponentially, the first 50 times the last (Cui et al. 2019,
arXiv 1901.05555, section 5.1, whose classes have hundreds of images; here none has fewer than one). A seed draws the order of
classes, the images that stay, the folds and the initial weights. The test split stays whole. What should be the default is
asked by cross-validation on the rows that stay, by a rule that stood before the first run: whatever is better than the plain
recipe in macro F1 by more than two standard errors, both adapters and both sets together, and not worse in top-1 by more than
that, for images of the same shares of classes. The page says what it found, and what it did not look at.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import udta
from benchmarks.markdown import points, table, wrapped
from udta._files.atomic import write_json, write_text
from udta.adapters import load_adapter
from udta.scoring import view_answers
from udta.store import twin
from udta.tasks.classification_metrics import classification_metrics

SETS = ("birds", "food")
RATIO, FOLDS = 50, 3
RESULTS = Path(__file__).parent / "results" / "imbalance"
_DOC = Path(__file__).parents[1] / "docs" / "imbalance.md"
METHODS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "class weights": {"class_weights": "balanced"},
    "balanced sampling": {"sampling": "balanced"},
    "logit adjustment": {"logit_adjustment": 1.0},
}
# A closed form has no steps to weigh or to sample for; logit adjustment it has afterwards.
ADAPTERS = {"udta": tuple(METHODS), "linear": tuple(METHODS), "ridge": ("plain", "logit adjustment")}
CHOSEN_BY = ("udta", "linear")
FIGURES = {
    "top1": "top-1",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "ece": "calibration error",
}

Found = dict[str, dict[str, dict[str, float]]]  # figures by adapter and method


def long_tailed(store: udta.Store, ratio: int, seed: int) -> np.ndarray:
    """Training rows of which the classes' numbers fall exponentially, in a random order of classes."""
    rng, rows, n_classes = np.random.default_rng(seed), store.rows("train"), len(store.classes)
    kept = []
    for place, label in enumerate(rng.permutation(n_classes)):
        own = rng.permutation(rows[store.labels[rows] == label])
        kept.append(own[: max(1, round(len(own) * ratio ** (-place / (n_classes - 1))))])
    return np.sort(np.concatenate(kept))


def folds(store: udta.Store, rows: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """The rows that each fold leaves out, stratified by class."""
    order = np.random.default_rng(seed).permutation(rows)
    order = order[np.argsort(store.labels[order], kind="stable")]
    for fold in range(FOLDS):
        yield np.sort(order[np.arange(len(order)) % FOLDS == fold])


def train(store: udta.Store, rows: np.ndarray, seed: int, out: Path) -> dict[tuple[str, str], Path]:
    """The run of every adapter with every method on these rows, in one sweep: what is solved and pooled is so once."""
    thinned = twin(store)
    thinned.splits = np.where(np.isin(np.arange(len(store)), rows), "train", "unused")
    names = {(adapter, method): f"{adapter}-{number}" for adapter in ADAPTERS for number, method in enumerate(METHODS)}
    entries = {
        names[adapter, method]: {"adapter": adapter, "recipe": dict(METHODS[method]), "seeds": [seed]}
        for adapter, methods in ADAPTERS.items()
        for method in methods
    }
    udta.sweep(thinned, adapters={"adapters": entries}, out=out, validation=0)
    return {key: out / "runs" / name for key, name in names.items() if name in entries}


def measure(store: udta.Store, parts: Iterable[tuple[np.ndarray, np.ndarray]], seed: int) -> Found:
    """Figures of what is left out of each part, together: (rows to train on, rows to predict)."""
    said: dict[tuple[str, str], list[np.ndarray]] = {}
    labels = []
    for rows, left_out in parts:
        with tempfile.TemporaryDirectory() as folder:
            for key, run in train(store, rows, seed, Path(folder) / "sweep").items():
                said.setdefault(key, []).append(view_answers(load_adapter(run)[0], store, left_out))
        labels.append(store.labels[left_out])
    found: Found = {}
    for (adapter, method), log_p in said.items():
        metrics = classification_metrics(np.concatenate(log_p), np.concatenate(labels))
        found.setdefault(adapter, {})[method] = {figure: metrics[figure] for figure in FIGURES}
    return found


def of_seed(store: udta.Store, seed: int) -> dict[str, Any]:
    """One long tail: what cross-validation on it says, and what the test split does."""
    rows, started = long_tailed(store, RATIO, seed), time.process_time()
    chosen = measure(store, [(np.setdiff1d(rows, out), out) for out in folds(store, rows, seed)], seed)
    test = measure(store, [(rows, store.rows("test"))], seed)
    return {
        "images": np.bincount(store.labels[rows], minlength=len(store.classes)).tolist(),
        "cross_validated": chosen,
        "test": test,
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def compare(sets: Mapping[str, Sequence[Mapping[str, Any]]], method: str, figure: str) -> tuple[float, float]:
    """By how much a method is better than plain in cross-validation, and the standard error over tails and adapters."""
    pairs = [
        tail["cross_validated"][adapter][method][figure] - tail["cross_validated"][adapter]["plain"][figure]
        for tails in sets.values()
        for tail in tails
        for adapter in CHOSEN_BY
    ]
    return float(np.mean(pairs)), float(np.std(pairs, ddof=1) / len(pairs) ** 0.5)


def by_rule(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What the rule at the head of this file would make the default."""
    best, most = "plain", 0.0
    for method in list(METHODS)[1:]:
        (gain, error), (top1, of_top1) = (compare(sets, method, figure) for figure in ("macro_f1", "top1"))
        if gain > max(2 * error, most) and top1 > -2 * of_top1:
            best, most = method, gain
    return best


def render(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The page, from the tails of each set."""
    text = f"""
        Two sets whose training images were thinned until the most frequent class has {RATIO} times the images of the rarest, or
        as near to it as whole images allow: {_counts(sets)}. The test split is whole. Means and standard deviations of
        {min(map(len, sets.values()))} tails a set, each with an order of classes, images and initial weights of its own;
        MobileNetV2, eight views, default recipes, per cent. This page is written by `python -m benchmarks.imbalance` from
        [its results](../benchmarks/results/imbalance); what the options are, and for which shares of classes their
        probabilities are, is in [training](training.md#rare-classes)."""
    parts = [f"# Rare classes\n\n{wrapped(text)}"]
    parts += [f"## {name.capitalize()}, test split\n\n{_figures(tails, 'test')}" for name, tails in sets.items()]
    text = f"""
        The same by {FOLDS}-fold cross-validation on the training images alone, whose classes are as unequal as those trained on.
        What should be the default was asked here, by a rule that stood before the first run: what is better than plain in macro
        F1 by more than two standard errors, both adapters of gradient steps and both sets together, and not worse in top-1 by
        more than that.
        Calibration errors here are of probabilities for equal shares on images of unequal ones, but for plain."""
    header = ["against plain, points ± standard error", "macro F1", "balanced accuracy", "top-1", "calibration error"]
    figures = ("macro_f1", "balanced_accuracy", "top1", "ece")
    rows = [[method, *(_difference(*compare(sets, method, each)) for each in figures)] for method in list(METHODS)[1:]]
    parts.append(f"## What is the default\n\n{wrapped(text)}\n{table(header, rows)}\n{wrapped(_verdict(sets))}")
    parts += [
        f"### {name.capitalize()}, images left out\n\n{_figures(tails, 'cross_validated')}"
        for name, tails in sets.items()
    ]
    return "\n".join(parts)


def _verdict(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    chosen = by_rule(sets)
    if chosen == "plain":
        return """
            **Plain stays the default**: nothing passes both halves of the rule. Where every class matters as much as another,
            ask for what the tables above say."""
    worse, error = compare(sets, chosen, "ece")
    return f"""
        **By this rule it is {chosen}; plain stays the default all the same**, which was decided when these figures were there:
        the rule looks at classes and not at their probabilities, and these would be for equal shares of classes from then on. On
        images of the shares of training, as those that were left out are, their calibration error is {100 * worse:+.1f} ±
        {100 * error:.1f} points from plain's. So it is to be asked for, wherever every class matters as much as another; where
        classes have equally many images it changes nothing."""


def _counts(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    return ", ".join(
        f"{name} {max(tails[0]['images'])} to {min(tails[0]['images'])} images of {len(tails[0]['images'])} classes"
        f" ({sum(tails[0]['images'])} in all)"
        for name, tails in sets.items()
    )


def _figures(tails: Sequence[Mapping[str, Any]], part: str) -> str:
    rows = []
    for adapter, methods in ADAPTERS.items():
        for method in methods:
            values = [[tail[part][adapter][method][figure] for tail in tails] for figure in FIGURES]
            cells = [f"{points(float(np.mean(each)))} ± {points(float(np.std(each, ddof=1)))}" for each in values]
            rows.append([f"`{adapter}`", method, *cells])
    return table(["adapter", "", *FIGURES.values()], rows)


def _difference(mean: float, error: float) -> str:
    return f"{100 * mean:+.1f} ± {100 * error:.1f}"


def measured(name: str) -> list[dict[str, Any]]:
    """The tails of a set, in the order of their seeds."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["tails"] if path.exists() else []


def main() -> None:
    """Measure the tails that are not measured, one by one, and write the page once both sets have some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", default=",".join(SETS))
    asked = parser.parse_args()
    for name in asked.sets.split(","):
        tails = measured(name)
        for seed in range(len(tails), asked.seeds):
            tails.append(of_seed(udta.open_store(asked.stores / name), seed))
            write_json(RESULTS / f"{name}.json", {"set": name, "ratio": RATIO, "folds": FOLDS, "tails": tails})
            print(name, seed, json.dumps(tails[-1]["test"]), tails[-1]["cpu_seconds"], flush=True)
    sets = {name: measured(name) for name in SETS}
    if all(sets.values()):
        write_text(_DOC, render(sets))


if __name__ == "__main__":
    main()
