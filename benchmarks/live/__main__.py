"""Live rivals on real photographs: accuracy and time of each, set by set.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.live fine_tuning [--sets food,flowers] [--seeds 5] [--device cuda] [--work DIR]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. The learning rate is chosen on training splits
alone: trained on two thirds for a few epochs, compared on the other third. Each of `--tune-sets` has its own rate, every other
set the one with the best mean accuracy over these. The rates go up until the best is no longer the largest. Then the rival's
number of epochs on each set's training split, with the augmentation of stored views made anew for every epoch, and one look at
the test split. An interrupted run goes on after the last whole epoch in DIR. Writes `benchmarks/results/live/RIVAL-SET.json`;
held-out figures that it has already are used again, and a set is trained again only where another rate has become the best.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.live import RIVALS
from benchmarks.live.harness import evaluate, train
from benchmarks.live.photographs import AUGMENT, Photographs, held_out
from benchmarks.live.rival import Rival
from benchmarks.real import SETS, backbone, real_data
from udta._files.atomic import write_json
from udta.backbones import Backbone

TEST_VIEWS = range(8)
RESULTS = Path(__file__).parents[1] / "results" / "live"

Held = Mapping[str, dict[str, dict[str, Any]]]  # rate, set: figures on held-out training images


def tune(
    rival: Rival, network: Backbone, real: Path, sets: list[str], epochs: int, work: Path, device: str, earlier: Held
) -> dict[str, Any]:
    """Held-out accuracy and loss of every rate on every set; the chosen rate has the best mean accuracy, then the least loss.

    While the largest rate is the best, a larger one is tried: a grid that ends at its best understates the rival.
    """
    rates, tried = list(rival.rates), dict[str, dict[str, dict[str, Any]]]()
    for rate in rates:  # grows while it is walked
        tried[f"{rate:g}"] = earlier.get(f"{rate:g}") or {
            name: held_out_figures(rival, rate, network, real / "real" / name, epochs, work / "tune" / name, device)
            for name in sets
        }
        print(rate, tried[f"{rate:g}"], flush=True)
        if rate == rates[-1] == best(tried) and len(rates) > 1:
            rates.append(larger(rates))
    return {"lr": best(tried), "epochs": epochs, "held_out": tried}


def larger(rates: list[float]) -> float:
    """The next of 1, 3, 10, 30, ...: ten times the last but one."""
    return float(f"{10 * rates[-2]:g}")


def best(tried: Held) -> float:
    """The rate with the best mean accuracy over the sets, of equal ones the one with the least mean loss."""

    def merit(rate: str) -> tuple[float, float]:
        results = tried[rate].values()
        return float(np.mean([each["top1"] for each in results])), -float(np.mean([each["loss"] for each in results]))

    return float(max(tried, key=merit))


def held_out_figures(
    rival: Rival, rate: float, network: Backbone, folder: Path, epochs: int, work: Path, device: str
) -> dict[str, Any]:
    """Of a training on two thirds of a set's training images, measured on the other third; kept in `work`."""
    file = work / f"{rate:g}" / "held_out.json"
    if not file.exists():
        photographs = Photographs(folder)
        kept, out = held_out(photographs)
        recipe = replace(rival.recipe, lr=rate, epochs=epochs)
        model, _ = train(rival, recipe, network, photographs, kept, file.parent, device=device)
        figures = evaluate(model, photographs, out, [0])
        write_json(file, {"top1": figures["top1"], "loss": figures["loss"], "device": device_name(device)})
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def device_name(device: str) -> str:
    """Which GPU, or `cpu`."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def measure(
    rival: Rival, tuning: dict[str, Any], network: Backbone, folder: Path, work: Path, seeds: int, device: str
) -> dict[str, Any]:
    """Train on the training split of one set with every seed, and test each once; times are those of seed 0."""
    photographs = Photographs(folder)
    rows, test = photographs.rows("train"), photographs.rows("test")
    recipe = replace(rival.recipe, lr=tuning["lr"])
    metrics, runs = [], []
    for seed in range(seeds):
        model, progress = train(rival, recipe, network, photographs, rows, work / str(seed), seed, device)
        metrics.append(evaluate(model, photographs, test, TEST_VIEWS))
        runs.append(progress)
    took = asdict(runs[0])
    cores = torch.get_num_threads()
    return {
        "rival": rival.name,
        "set": folder.name,
        "device": device_name(device),
        "metrics": metrics,
        "train_samples": len(rows),
        "parameters": sum(each.numel() for each in model.parameters() if each.requires_grad),
        "recipe": {key: value for key, value in asdict(recipe).items() if key != "optimiser"},
        "augment": AUGMENT,
        "tuning": tuning,
        "train_seconds": took["wall_seconds"] if device == "cuda" else took["cpu_seconds"] / cores,
        "cores": cores,
        **took,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def main() -> None:
    """Tune, then every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--tune-sets", default="food,flowers")
    parser.add_argument("--tune-epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--work", type=Path, default=Path("stores/live"))
    options = parser.parse_args()
    real, rival = real_data(), RIVALS[options.rival]
    work = options.work / rival.name
    network = backbone(real)
    tune_sets, sets = options.tune_sets.split(","), options.sets.split(",")
    for name in sets:  # all of them first: a training is the longer part
        document = known(rival, name)
        earlier = document.get("tuning", {}).get("held_out", {})
        tune_on = list(next(iter(earlier.values()), [name] if name in tune_sets else tune_sets))
        tuning = tune(rival, network, real, tune_on, options.tune_epochs, work, options.device, earlier)
        write_json(result_file(rival, name), {**document, "tuning": tuning})
    for name in sets:
        document = known(rival, name)
        if document.get("recipe", {}).get("lr") != document["tuning"]["lr"]:
            place = work / name / f"{document['tuning']['lr']:g}"
            folder = real / "real" / name
            document = measure(rival, document["tuning"], network, folder, place, options.seeds, options.device)
            write_json(result_file(rival, name), document)
        for metrics in document["metrics"]:
            print(f"{rival.name} {name}: top-1 {metrics['top1']:.4f}, averaged {metrics['top1_by_views']}", flush=True)


def result_file(rival: Rival, name: str) -> Path:
    """Of one set; while only `tuning` stands in it, or another rate than that of `recipe`, the training is still to be done."""
    return RESULTS / f"{rival.name}-{name}.json"


def known(rival: Rival, name: str) -> dict[str, Any]:
    """The result of a set, as far as there is one."""
    file = result_file(rival, name)
    return json.loads(file.read_text()) if file.exists() else {}


if __name__ == "__main__":
    main()
