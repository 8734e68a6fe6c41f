"""What bf16 instead of float32 arithmetic does to a linear probe, on real photographs.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.compute [--sets food,flowers] [--work DIR]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. Each set is extracted twice (view 0, float16 stores),
then the tuned logistic regression of `benchmarks.regression` is trained on each. Prints top-1 of the test split, its difference
in points and the deviation that the bf16 store records of itself; writes `benchmarks/results/compute.json`. CPUs without bf16
instructions emulate them ten times slower, with the same rounding.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import udta
from benchmarks.real import BACKBONE, LAST_TAP, real_data, weights
from benchmarks.regression import read, regression
from benchmarks.synthetic import versions
from udta._files.atomic import write_json

RESULT = Path(__file__).parent / "results" / "compute.json"
COMPUTES = ("float32", "bfloat16")


def measure(real: Path, name: str, work: Path) -> dict[str, Any]:
    """One set."""
    images, row = real / "real" / name, {}
    splits = images / "SPLITS.csv"
    for compute in COMPUTES:
        out = work / f"{name}-{compute}"
        report = udta.extract(
            images,
            backbone=BACKBONE,
            weights=str(weights(real)),
            taps=f"features.13=grid(14),{LAST_TAP}=avg",
            splits=splits if splits.exists() else None,
            compute=compute,
            out=out,
        )
        store = udta.open_store(out)
        train, test = (read(store, LAST_TAP, split)["average"] for split in ("train", "test"))
        probe = regression(train, test)
        row[compute] = {"top1": probe["top1"], "compute_error": dict(report.compute_error)}
    row["difference_in_points"] = 100 * (row["bfloat16"]["top1"] - row["float32"]["top1"])
    row["test_images"] = len(store.rows("test"))
    return row


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="food,flowers")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    real = real_data()
    with tempfile.TemporaryDirectory(prefix="udta-compute-") as scratch:
        sets = {name: measure(real, name, options.work or Path(scratch)) for name in options.sets.split(",")}
    for name, row in sets.items():
        deviation = ", ".join(
            f"{tap} {value:.2g}" for tap, value in row["bfloat16"]["compute_error"]["relative_rmse"].items()
        )
        print(
            f"{name:10} top-1 float32 {100 * row['float32']['top1']:.2f}, bf16 {100 * row['bfloat16']['top1']:.2f}"
            f" ({row['difference_in_points']:+.2f} points of {row['test_images']} images); deviation {deviation}"
        )
    write_json(RESULT, {"versions": versions("torchvision", "scikit-learn"), "sets": sets})


if __name__ == "__main__":
    main()
