"""What one per cent more images costs, against extracting all of them.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.growth [--set birds]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. One image of a hundred is held back, the others are
extracted with MobileNetV2 in five views; then they are added, so that every block of the store changes, and the same command runs
again. A third run with nothing to do is the start-up that both others contain. Writes `benchmarks/results/growth.json`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import udta
from benchmarks.real import BACKBONE, TAPS
from benchmarks.synthetic import versions
from udta._files.atomic import write_json

VIEWS = 5
RESULT = Path(__file__).parent / "results" / "growth.json"


def extract(images: Path, weights: Path, out: Path) -> dict[str, Any]:
    """One run of the command; wall time with everything but the imports."""
    started = time.perf_counter()
    report = udta.extract(images, backbone=BACKBONE, weights=str(weights), taps=TAPS, views=VIEWS, out=out)
    return {"seconds": time.perf_counter() - started, "computed_rows": report.computed_rows, "rows": report.rows}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="birds")
    options = parser.parse_args()
    if "UDTA_REAL_DATA" not in os.environ:
        sys.exit("set UDTA_REAL_DATA to the folder with real photographs and weights")
    real = Path(os.environ["UDTA_REAL_DATA"])
    weights = real / "weights" / "mobilenet_v2_relu.pth"
    folder = Path(tempfile.mkdtemp(prefix="udta-growth-"))
    try:
        images = folder / "images"
        shutil.copytree(real / "real" / options.set, images, ignore=shutil.ignore_patterns("SPLITS.csv"))
        held_back = sorted(images.rglob("*.jpg"))[::100]
        for image in held_back:
            image.rename(folder / f"{image.parent.name}--{image.name}")
        full = extract(images, weights, folder / "store")
        for image in held_back:
            (folder / f"{image.parent.name}--{image.name}").rename(image)
        grown = extract(images, weights, folder / "store")
        idle = extract(images, weights, folder / "store")
        extract(images, weights, folder / "at-once")
        equal = udta.diff(folder / "store", folder / "at-once").equal
    finally:
        shutil.rmtree(folder)
    share = (grown["seconds"] - idle["seconds"]) / full["seconds"]
    print(
        f"all {full['rows']} images: {full['seconds']:.1f} s; {grown['computed_rows']} more: {grown['seconds']:.2f} s, of which "
        f"{idle['seconds']:.2f} s start-up: {100 * share:.1f} % of all; grown store equal to one extracted at once: {equal}"
    )
    measured = {"full": full, "grown": grown, "idle": idle, "share_without_start_up": share, "equal": equal}
    write_json(RESULT, {"cores": os.cpu_count(), "versions": versions("zarr"), **measured})


if __name__ == "__main__":
    main()
