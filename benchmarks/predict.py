"""What ten tasks cost beside one: the same photographs, predicted by one adapter and by ten.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.predict [--set birds] [--images 512] [--rounds 5] [--adapter udta]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`: MobileNetV2 is the cheapest backbone that we know
people to use, and so the one beside which adapters cost most. An adapter of its recommended taps is trained on some photographs
and copied ten times, since what a task costs does not depend on what was learned. One and ten take turns; whole calls of
`udta.predict` are measured, in processor seconds, which other work on the machine changes least, and in wall seconds. Prints
the ratio of the medians, and writes `benchmarks/results/predict.json`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import udta
from benchmarks.real import BACKBONE, real_data, weights
from benchmarks.synthetic import versions
from udta._files.atomic import write_json

RESULT = Path(__file__).parent / "results" / "predict.json"
TASKS = 10
TRAINED_ON = 120  # photographs: enough for a closed form, and for the choice of taps


def runs(photographs: list[Path], adapter: str, work: Path, real: Path) -> list[Path]:
    """As many copies of one run as there are tasks."""
    table = work / "train.csv"
    labels = (f"{path},{path.parent.name}" for path in photographs[:: max(1, len(photographs) // TRAINED_ON)])
    table.write_text("\n".join(("path,label", *labels)) + "\n")
    udta.extract(table, backbone=BACKBONE, weights=str(weights(real)), out=work / "store")
    udta.train(work / "store", adapter=adapter, out=work / "run", recipe={"epochs": 1} if adapter == "udta" else None)
    return [Path(shutil.copytree(work / "run", work / f"run-{number}")) for number in range(TASKS)]


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(photographs: list[Path], adapters: list[Path], work: Path, rounds: int) -> dict[str, Any]:
    """Medians of one and of all adapters, in turns."""
    seconds: dict[int, list[tuple[float, float]]] = {1: [], len(adapters): []}
    for turn in range(rounds + 1):
        for count, found in seconds.items():
            taken = timed(lambda: udta.predict(photographs, adapters=adapters[:count], out=work / "p.csv"))  # noqa: B023
            if turn:  # the first has files read from the disk, and libraries loaded
                found.append(taken)
    cpu, wall = ({n: median(each[kind] for each in found) for n, found in seconds.items()} for kind in (0, 1))
    one, many = seconds
    return {
        "images": len(photographs),
        "tasks": many,
        "cpu_seconds": {"one": cpu[one], "all": cpu[many]},
        "wall_seconds": {"one": wall[one], "all": wall[many]},
        "cpu_ratio": cpu[many] / cpu[one],
        "wall_ratio": wall[many] / wall[one],
        "cpu_ms_an_image_and_task": 1000 * (cpu[many] - cpu[one]) / (many - one) / len(photographs),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="birds")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--adapter", default="udta,linear")
    options = parser.parse_args()
    real = real_data()
    photographs = sorted((real / "real" / options.set).glob("*/*.jpg"))
    chosen = photographs[:: max(1, len(photographs) // options.images)][: options.images]
    found: dict[str, Any] = {}
    for adapter in options.adapter.split(","):
        with tempfile.TemporaryDirectory(prefix="udta-predict-") as scratch:
            work = Path(scratch)
            found[adapter] = measure(chosen, runs(photographs, adapter, work, real), work, options.rounds)
        row = found[adapter]
        print(
            f"{adapter}: {row['tasks']} tasks cost {row['cpu_ratio']:.3f} of one in processor seconds, {row['wall_ratio']:.3f} "
            f"in wall seconds; {row['cpu_ms_an_image_and_task']:.2f} ms an image and task"
        )
    write_json(RESULT, {"set": options.set, "backbone": BACKBONE, "adapters": found, "versions": versions()})
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
