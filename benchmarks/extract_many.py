"""Two backbones in one command against one command after the other.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.extract_many [--images 96] [--camera 32] [--rounds 3] [--device cuda]

FOLDER holds `real/<set>/<class>/*.jpg` (shorter side 224 px). MobileNetV2 and ResNet-18 with random weights, which take the same
time, float32, last stages pooled and stored as float32, for which there is no calibration; view 0 of `--images` photographs, and
of `--camera` of them enlarged to 4000 x 3000. Both ways run in this process, so that no start-up is counted, and take turns; the
first round is not counted. Wall and processor seconds, medians, and the seconds of each step that the reports say, in which the
threads of a busy machine wait too. On a GPU the arithmetic is what suits it. Photographs are repeated where there are fewer.
Writes `benchmarks/results/extract-many.json`, or `extract-many-cuda.json`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import udta
from benchmarks.real import real_data
from benchmarks.synthetic import versions
from udta._files.atomic import write_json
from udta._machine.cores import n_cores
from udta.extraction import ExtractReport

RESULTS = Path(__file__).parent / "results"
STORES = (
    {"backbone": "mobilenet_v2", "taps": "features.13=grid(7),features.18=avg", "out": "mobilenet"},
    {"backbone": "resnet18", "taps": "layer3=grid(7),layer4=avg", "out": "resnet"},
)


COMPUTE = {"cpu": "float32", "cuda": "auto"}


def together(images: Path, out: Path, device: str) -> Sequence[ExtractReport]:
    """One call."""
    stores = [{**store, "out": out / store["out"]} for store in STORES]
    return udta.extract_many(images, stores, compute=COMPUTE[device], dtype="float32", device=device)


def in_turn(images: Path, out: Path, device: str) -> Sequence[ExtractReport]:
    """A call for each."""
    return [
        udta.extract(
            images,
            backbone=store["backbone"],
            taps=store["taps"],
            out=out / store["out"],
            compute=COMPUTE[device],
            dtype="float32",
            device=device,
        )
        for store in STORES
    ]


def measured(way: Callable[[Path, Path, str], Sequence[ExtractReport]], images: Path, device: str) -> dict[str, float]:
    """Wall and processor seconds of everything, and seconds of work by step."""
    with tempfile.TemporaryDirectory() as out:
        wall, processor = time.perf_counter(), time.process_time()
        reports = way(images, Path(out), device)
        seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    return seconds | {step: sum(report.step_seconds[step] for report in reports) for step in reports[0].step_seconds}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--camera", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=list(COMPUTE), default="cpu")
    options = parser.parse_args()
    files = sorted(real_data().glob("real/*/*/*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        small, camera = Path(folder, "small"), Path(folder, "camera")
        for place, count in ((small, options.images), (camera, options.camera)):
            (place / "all").mkdir(parents=True)
            chosen = files[:: max(1, len(files) // max(count, 1))]
            for number, file in enumerate((chosen * -(-count // len(chosen)))[:count]):
                if place is small:
                    (place / "all" / f"{number:05d}.jpg").symlink_to(file)
                else:
                    with Image.open(file) as image:
                        image.convert("RGB").resize((4000, 3000)).save(place / "all" / f"{number:05d}.jpg", quality=90)
        results: dict[str, Any] = {}
        for name, images, count in (("thumbnails", small, options.images), ("12 megapixels", camera, options.camera)):
            if not count:
                continue
            rounds = [
                {way.__name__: measured(way, images, options.device) for way in (together, in_turn)}
                for _ in range(options.rounds + 1)
            ][1:]
            found = {
                way: {step: round(statistics.median(r[way][step] for r in rounds), 2) for step in rounds[0][way]}
                for way in rounds[0]
            }
            ratios = {
                what: round(statistics.median(r["in_turn"][what] / r["together"][what] for r in rounds), 3)
                for what in ("wall", "processor")
            }
            results[name] = {**found, "in_turn / together": ratios}
            print(name, results[name], flush=True)
    write_json(
        RESULTS / ("extract-many.json" if options.device == "cpu" else "extract-many-cuda.json"),
        {
            "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
            "versions": versions("pillow"),
            "cores": n_cores(),
            "images": options.images,
            "camera_images": options.camera,
            "rounds": options.rounds,
            "seconds": results,
        },
    )


if __name__ == "__main__":
    main()
