"""What `udta inspect` finds of mistakes planted in real sets: near-copies in the other split, and labels that were changed.

    python -m benchmarks.inspection [--sets food,monkeys] [--backbones mobilenet_v2,deit_tiny] [--seeds 3]

Of each set 20 training images are recompressed (quality 45), resized (to 60 %), cropped (5 % of each side) or mirrored, five
each, and put into the test split. The sets have some near-duplicates of their own; pairs beside the planted ones
that stand among the first 22 were looked at, and those that show one photograph or one scene are in `ONE_SCENE`. Then 5 % of
all labels, the copies' among them, become another class each.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import udta
from benchmarks.real import BACKBONES, SETS, real_data
from udta._files.atomic import write_json
from udta.store import relabelled

RESULTS = Path(__file__).parent / "results" / "inspection.json"
PLANTED, FIRST = 20, 22
# One photograph or one scene twice, in train and test, by the eye of a person: names without folder and suffix.
ONE_SCENE: Mapping[str, frozenset[frozenset[str]]] = {
    "birds": frozenset({frozenset({"0026", "0045"}), frozenset({"0012", "0025"}), frozenset({"0000", "0034"})}),
    "butterflies": frozenset({frozenset({"0100009", "0100041"}), frozenset({"0070064", "0070076"})}),
    "flowers": frozenset(
        {
            frozenset({"image_0814", "image_0842"}),
            frozenset({"image_1205", "image_1242"}),
            frozenset({"image_0242", "image_0243"}),
        }
    ),
    "monkeys": frozenset({frozenset({"n9020", "n912"}), frozenset({"n6034", "n606"}), frozenset({"n6060", "n6010"})}),
    "textures": frozenset(
        {frozenset({"blotchy_0033", "blotchy_0034"}), frozenset({"cobwebbed_0049", "cobwebbed_0050"})}
    ),
}


def recompressed(image: Image.Image) -> tuple[Image.Image, int]:
    """At another quality."""
    return image, 45


def resized(image: Image.Image) -> tuple[Image.Image, int]:
    """To 60 %."""
    return image.resize((image.width * 6 // 10, image.height * 6 // 10), Image.Resampling.BICUBIC), 90


def cropped(image: Image.Image) -> tuple[Image.Image, int]:
    """Without 5 % of each side."""
    x, y = round(image.width * 0.05), round(image.height * 0.05)
    return image.crop((x, y, image.width - x, image.height - y)), 90


def mirrored(image: Image.Image) -> tuple[Image.Image, int]:
    """Left and right exchanged."""
    return ImageOps.mirror(image), 90


KINDS = (recompressed, resized, cropped, mirrored)


def plant(source: Path, folder: Path, seed: int) -> dict[str, str]:
    """The set with `PLANTED` copies in its test split, and `splits.csv`; which image each copy is of, by its name."""
    random, names = np.random.default_rng(seed), sorted(p.relative_to(source).as_posix() for p in source.rglob("*.jpg"))
    splits = _splits(source, names, random)
    train = [name for name in names if splits[name] == "train"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(source / name)
    planted = {}
    for number, name in enumerate(random.choice(train, PLANTED, replace=False).tolist()):
        image, quality = KINDS[number % len(KINDS)](Image.open(source / name).convert("RGB"))
        copy = f"{Path(name).parent}/{Path(name).stem}-{KINDS[number % len(KINDS)].__name__}.jpg"
        image.save(folder / copy, quality=quality)
        planted[copy], splits[copy] = name, "test"
    with (folder / "splits.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "split"), *splits.items()])
    return planted


def _splits(source: Path, names: Sequence[str], random: np.random.Generator) -> dict[str, str]:
    if not (source / "SPLITS.csv").exists():
        return {name: "train" if random.random() < 0.7 else "test" for name in names}
    with (source / "SPLITS.csv").open(newline="") as file:
        given = {line["path"]: line["split"] for line in csv.DictReader(file)}
    return {name: given[name] for name in names}


def leaks(store: udta.Store, planted: Mapping[str, str], known: frozenset[frozenset[str]]) -> dict[str, Any]:
    """How many planted copies stand among the first 22 pairs, and what else does."""
    found = udta.inspect(store).leaks
    pairs = list(zip(found["first"], found["second"], found["likeness"], strict=True))
    is_planted = [planted.get(second) == first for first, second, _ in pairs]
    others = [pair for pair, hit in zip(pairs[:FIRST], is_planted, strict=False) if not hit]
    scene = [pair for pair in others if frozenset(_stem(name) for name in pair[:2]) in known]
    places = [place for place, hit in enumerate(is_planted, start=1) if hit]
    return {
        "planted": len(planted),
        "listed": len(pairs),
        "found_in_first_22": sum(is_planted[:FIRST]),
        "found": sum(is_planted),
        "place_of_last_planted": places[-1] if places else None,
        "one_scene_in_first_22": len(scene),
        "false_in_first_22": len(others) - len(scene),
        "others": [[first, second, round(likeness, 3)] for first, second, likeness in others],
    }


def _stem(name: str) -> str:
    return Path(name).stem.rpartition("-")[0] or Path(name).stem


def changed_labels(store: udta.Store, seed: int) -> dict[str, float]:
    """Of 5 % labels that were changed: the part in the first 10 % by suspicion; precision and recall of those called likely."""
    random, labels = np.random.default_rng(seed), store.labels.copy()
    wrong = random.choice(len(labels), round(0.05 * len(labels)), replace=False)
    labels[wrong] = (labels[wrong] + random.integers(1, len(store.classes), len(wrong))) % len(store.classes)
    errors = udta.inspect(relabelled(store, labels, store.classes)).label_errors
    assert errors is not None
    names = set(store.ids[wrong].tolist())
    changed = np.array([name in names for name in errors["path"]])
    likely = np.array(errors["likely"])
    return {
        "recall_in_first_10_percent": float(changed[: round(0.1 * len(changed))].sum() / len(wrong)),
        "precision_of_likely": float(changed[likely].mean()),
        "recall_of_likely": float(changed[likely].sum() / len(wrong)),
        "held_out_accuracy": float(
            np.mean([a == b for a, b in zip(errors["label"], errors["suggested"], strict=True)])
        ),
    }


def measure(backbone: str, name: str, seeds: int) -> dict[str, Any]:
    """One set with one backbone: copies once, labels with several seeds."""
    real, frozen = real_data(), BACKBONES[backbone]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        planted = plant(real / "real" / name, folder, seed=0)
        options = {"backbone": frozen.factory, "weights": str(frozen.weights(real)), "taps": frozen.taps, "views": 1}
        udta.extract(folder, splits=folder / "splits.csv", out=Path(scratch) / "store", **options)
        store = udta.open_store(Path(scratch) / "store")
        found = leaks(store, planted, ONE_SCENE.get(name, frozenset()))
        labels = [changed_labels(store, seed) for seed in range(seeds)]
    return {"images": len(store), "leaks": found, "labels": {key: [each[key] for each in labels] for key in labels[0]}}


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--backbones", default="mobilenet_v2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    document: dict[str, Any] = {}
    for backbone in given.backbones.split(","):
        for name in given.sets.split(","):
            found = document.setdefault(backbone, {})[name] = measure(backbone, name, given.seeds)
            copies, labels = found["leaks"], found["labels"]
            print(
                f"{backbone:14}{name:12} leaks: {copies['found_in_first_22']} of {copies['planted']} in the first {FIRST},"
                f" {copies['one_scene_in_first_22']} of one scene, {copies['false_in_first_22']} false;"
                f" labels: {min(labels['recall_in_first_10_percent']):.0%} in the first 10 % at least,"
                f" likely ones {np.mean(labels['precision_of_likely']):.0%} right,"
                f" {np.mean(labels['recall_of_likely']):.0%} found",
                flush=True,
            )
            write_json(given.out, document)


if __name__ == "__main__":
    main()
