"""Live rivals on real photographs: accuracy and time of each, set by set.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.live fine_tuning [--sets food,flowers] [--seeds 5] [--device cuda] [--work DIR]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. The learning rate is chosen on training splits
alone: trained on two thirds for a few epochs, compared on the other third. Each of `--tune-sets` has its own rate, every other
set the one with the best mean accuracy over these. Then the rival's number of epochs on each set's training split, with the
augmentation of stored views made anew for every epoch, and one look at the test split. An interrupted run goes on after the last
whole epoch in DIR. Writes `benchmarks/results/live/RIVAL-SET.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
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


def tune(
    rival: Rival, network: Backbone, real: Path, sets: list[str], epochs: int, work: Path, device: str
) -> dict[str, Any]:
    """Held-out accuracy and loss of every rate on every set; the chosen rate has the best mean accuracy, then the least loss."""
    tried: dict[str, dict[str, Any]] = {f"{rate:g}": {} for rate in rival.rates}
    for name in sets:
        photographs = Photographs(real / "real" / name)
        kept, out = held_out(photographs)
        for rate in rival.rates:
            file = work / "tune" / name / f"{rate:g}" / "held_out.json"
            if not file.exists():
                recipe = replace(rival.recipe, lr=rate, epochs=epochs)
                model, _ = train(rival, recipe, network, photographs, kept, file.parent, device=device)
                write_json(file, evaluate(model, photographs, out, [0]))
            tried[f"{rate:g}"][name] = {key: json.loads(file.read_text())[key] for key in ("top1", "loss")}
            print(name, rate, tried[f"{rate:g}"][name], flush=True)

    def merit(rate: float) -> tuple[float, float]:
        results = tried[f"{rate:g}"].values()
        return float(np.mean([each["top1"] for each in results])), -float(np.mean([each["loss"] for each in results]))

    return {"lr": max(rival.rates, key=merit), "epochs": epochs, "held_out": tried}


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
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
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
    tune_sets = options.tune_sets.split(",")
    for name in options.sets.split(","):
        result = RESULTS / f"{rival.name}-{name}.json"
        if not result.exists():
            tune_on = [name] if name in tune_sets else tune_sets
            tuning = tune(rival, network, real, tune_on, options.tune_epochs, work, options.device)
            folder = real / "real" / name
            write_json(result, measure(rival, tuning, network, folder, work / name, options.seeds, options.device))
        for metrics in json.loads(result.read_text())["metrics"]:
            print(f"{rival.name} {name}: top-1 {metrics['top1']:.4f}, averaged {metrics['top1_by_views']}", flush=True)


if __name__ == "__main__":
    main()
