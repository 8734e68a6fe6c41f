"""What each way of adapting costs an image: parameters, floating point operations, time, memory.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.live.cost [--set flowers] [--images 128] [--classes 40]

FLOPs are counted as in `benchmarks.live.flops`, forward and backward apart. `udta` is the adapter on stored
features, where forward and backward are the adapter's alone; the others run the backbone on the images. Each runs in a process of
its own for one epoch over some training images. Writes `benchmarks/results/live/cost.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.live import RIVALS
from benchmarks.live.__main__ import RESULTS
from benchmarks.live.flops import count
from benchmarks.live.frozen import tap_specs
from benchmarks.live.harness import train
from benchmarks.live.photographs import Photographs
from benchmarks.real import TAPS, backbone, real_data
from udta._files.atomic import write_json
from udta._machine.memory import peak_memory
from udta.adapters import Adapter, build_adapter
from udta.backbones import Backbone
from udta.loader import Batch

COUNTED = 16  # images in the batch whose operations are counted
BARS = {"fine_tuning": 50, "residual_adapters": 20}  # how many times udta's backward operations theirs must be


def trained(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def live_flops(name: str, network: Backbone, n_classes: int) -> dict[str, float]:
    """Of a rival, from images to logits and back."""
    model = RIVALS[name].build(network, n_classes).train()
    images = torch.randint(0, 256, (COUNTED, 3, 224, 224), dtype=torch.uint8)
    return {"parameters": trained(model), **count(lambda: model(images), COUNTED)}


def cached_flops(network: Backbone, n_classes: int) -> dict[str, float]:
    """Of the adapter on stored features; `backward_flops` has all that turns its directions, spread over the epochs."""
    shapes = {tap.name: tap.shape for tap in tap_specs(network, TAPS)}
    model = build_adapter("udta", shapes, n_classes).train()
    features = {name: torch.randn(COUNTED, *shape) for name, shape in shapes.items()}
    counted = count(lambda: model(features), COUNTED)
    turning = turning_flops(model, features, n_classes) / model.recipe.epochs
    return {"parameters": trained(model), **counted, "backward_flops": counted["backward_flops"] + turning}


def turning_flops(model: Adapter, features: dict[str, torch.Tensor], n_classes: int) -> float:
    """For one image, in all epochs that directions are turned in, forward and backward."""
    labels = torch.arange(COUNTED) % n_classes
    with FlopCounterMode(display=False) as learned:
        model.solve([Batch(features, labels, torch.arange(COUNTED))])
    principal = build_adapter("udta", model.taps, n_classes, directions="principal")
    with FlopCounterMode(display=False) as solved:
        principal.solve([Batch(features, labels, torch.arange(COUNTED))])
    return (learned.get_total_flops() - solved.get_total_flops()) / COUNTED


def epoch(name: str, network: Backbone, photographs: Photographs, images: int) -> dict[str, float]:
    """Time an image and memory of one epoch after a first batch, images decoded already; meant for a process of its own.

    `peak_bytes` is the largest resident size while it trains, `peak_bytes_over_data` without what the decoded images and the
    program take before. Linux alone tells it.
    """
    recipe = replace(RIVALS[name].recipe, epochs=1)
    rows = np.random.default_rng(0).permutation(photographs.rows("train"))[:images]
    with tempfile.TemporaryDirectory() as work:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of decoding, see proc(5)
        before = peak_memory()
        train(RIVALS[name], recipe, network, photographs, rows[: recipe.batch_size], Path(work) / "first")
        _, progress = train(RIVALS[name], recipe, network, photographs, rows, Path(work) / "measured")
    cores = torch.get_num_threads()
    return {
        "batch_size": recipe.batch_size,
        "seconds_per_image": progress.cpu_seconds / cores / len(rows),
        "wall_seconds_per_image": progress.wall_seconds / len(rows),
        "peak_bytes": peak_memory(),
        "peak_bytes_over_data": peak_memory() - before,
    }


def _apart(name: str, options: argparse.Namespace) -> dict[str, float]:
    """`epoch` in a new process; its result is the last line."""
    command = [
        sys.executable,
        "-m",
        __spec__.name,
        "--one",
        name,
        "--set",
        options.set,
        "--images",
        str(options.images),
    ]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    measured: dict[str, float] = json.loads(lines[-1])
    return measured


def main() -> None:
    """Measure each, print, compare with the bars, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="flowers")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--one", choices=RIVALS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    real = real_data()
    network = backbone(real)
    if options.one:
        photographs = Photographs(real / "real" / options.set)
        print(json.dumps(epoch(options.one, network, photographs, options.images)))
        return
    costs: dict[str, dict[str, Any]] = {"udta": cached_flops(network, options.classes)}
    for name in RIVALS:
        costs[name] = {**live_flops(name, network, options.classes), **_apart(name, options)}
    for name, row in costs.items():
        print(name, json.dumps(row))
    own = costs["udta"]["backward_flops"]
    ratios = {name: costs[name]["backward_flops"] / own for name in BARS}
    for name, ratio in ratios.items():
        print(f"backward FLOPs of {name}: {ratio:.1f} times udta's (bar: {BARS[name]})")
    document = {
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "cores": torch.get_num_threads(), "set": options.set, "images": options.images, "classes": options.classes,
        "taps": TAPS, "backward_ratio": ratios, "bars": BARS, "costs": costs,
    }  # fmt: skip
    write_json(RESULTS / "cost.json", document)


if __name__ == "__main__":
    main()
