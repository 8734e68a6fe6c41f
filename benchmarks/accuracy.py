"""Adapters against the tuned logistic regression and against full fine-tuning, on real photographs.

    UDTA_REAL_DATA=FOLDER OMP_WAIT_POLICY=passive python -m benchmarks.accuracy [--seeds 5] [--sets birds,flowers] [--again]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. Each set is extracted once in eight views and every
adapter is trained from the store with its own default recipe, five seeds; nothing is chosen on a test split. The rival on the
same features is in `benchmarks.regression`, full fine-tuning in `benchmarks.live`. Prints a line a set, writes
`benchmarks/results/accuracy.json` after every set and docs/accuracy.md from it; a set that is there already is measured again
only with `--again`. Times are the processor's divided by the cores in use, since other programs may run.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch

import udta
from benchmarks import accuracy_doc
from benchmarks.live.photographs import Photographs
from benchmarks.real import BACKBONE, LAST_TAP, SETS, TAPS, backbone, real_data, weights
from benchmarks.regression import read, regression
from benchmarks.store_checks import as_uint8, parity, with_taps
from udta._files.atomic import write_json
from udta.adapters import load_adapter
from udta.backbones import parse_taps

ADAPTERS = ("linear", "concat_linear", "udta")
VIEWS = 8
UINT8_SETS = ("flowers", "food")
RESULT = Path(__file__).parent / "results" / "accuracy.json"


def extract(real: Path, name: str, stores: Path, views: int) -> dict[str, Any]:
    """Make the store of a set, or find it made; what it took is kept beside it, and one without that is made anew."""
    images, ledger = real / "real" / name, stores / f"{name}.json"
    if ledger.exists():
        return json.loads(ledger.read_text())  # type: ignore[no-any-return]
    shutil.rmtree(stores / name, ignore_errors=True)
    splits = images / "SPLITS.csv"
    wall, cpu = time.perf_counter(), time.process_time()
    report = udta.extract(
        images,
        backbone=BACKBONE,
        weights=str(weights(real)),
        taps=TAPS,
        views=views,
        splits=splits if splits.exists() else None,
        out=stores / name,
    )
    took = {
        "seconds": (time.process_time() - cpu) / torch.get_num_threads(),
        "wall_seconds": time.perf_counter() - wall,
        "images": report.rows,
        "bytes": report.bytes,
        "compute": report.compute,
    }
    write_json(ledger, took)
    return took


def adapter(store: udta.Store, name: str, seeds: int, runs: Path) -> dict[str, Any]:
    """What `udta train` measures for every seed: accuracies and the processor's time of training, with start-up and reading."""
    figures: dict[str, list[float]] = {"top1": [], "top1_views": [], "mean_per_class": [], "seconds": []}
    for seed in range(seeds):
        ticks = [time.process_time()]
        report = udta.train(
            store,
            out=runs / name / str(seed),
            adapter=name,
            seed=seed,
            on_epoch=lambda *_, ticks=ticks: ticks.append(time.process_time()),
        )
        for key in ("top1", "top1_views", "mean_per_class"):
            figures[key].append(report.metrics[key])
        figures["seconds"].append((ticks[-1] - ticks[0]) / torch.get_num_threads())
    return {**figures, "parameters": report.parameters}


def measure(real: Path, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one set but fine-tuning."""
    extraction = None if options.stores else extract(real, name, options.work, options.views)
    opened = udta.open_store((options.stores or options.work) / name)
    store = with_taps(opened, [tap.module for tap in parse_taps(TAPS)])
    runs = options.work / "runs" / name
    trained = {each: adapter(store, each, options.seeds, runs) for each in options.adapters.split(",")}
    train, test = (read(store, LAST_TAP, split) for split in ("train", "test"))
    row: dict[str, Any] = {
        "train": len(train.labels),
        "n": len(test.labels),
        "classes": len(store.classes),
        "extraction": extraction,
        "adapters": trained,
        "regression": regression(train, test),
        "regression_view0": regression(train.views(1), test),
    }
    row["parity"] = parity(
        load_adapter(runs / "udta" / "0")[0], store, Photographs(real / "real" / name), backbone(real)
    )
    if name in UINT8_SETS:
        small = as_uint8(store, options.work / f"{name}.uint8")
        row["uint8"] = adapter(small, "udta", options.seeds, options.work / "runs" / f"{name}.uint8")
    return row


def known(configuration: dict[str, Any]) -> dict[str, Any]:
    """The sets of the last result, if it was measured in the same way."""
    if not RESULT.exists():
        return {}
    document = json.loads(RESULT.read_text())
    same = document.get("configuration") == configuration
    sets: dict[str, Any] = document["sets"] if same else {}
    return sets


def main() -> None:
    """Measure every set, print, write, render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--adapters", default=",".join(ADAPTERS), help="udta is always one of them")
    parser.add_argument("--work", type=Path, default=Path("stores/accuracy"), help="where stores and runs go")
    parser.add_argument("--stores", type=Path, help="stores that are there already, one a set; they may hold more taps")
    parser.add_argument("--again", action="store_true", help="measure sets that the result has already")
    options = parser.parse_args()
    real = real_data()
    configuration = {
        "backbone": BACKBONE, "taps": TAPS, "views": options.views, "seeds": options.seeds, "adapters": options.adapters,
    }  # fmt: skip
    versions = {"python": platform.python_version(), "torch": torch.__version__, "scikit-learn": sklearn.__version__}
    results = known(configuration)
    for name in options.sets.split(","):
        if options.again or name not in results:
            results[name] = measure(real, name, options)
            write_json(
                RESULT,
                {
                    "configuration": configuration,
                    "versions": versions,
                    "cores": torch.get_num_threads(),
                    "sets": dict(sorted(results.items())),
                },
            )
        print_row(name, results[name])
    accuracy_doc.main()


def print_row(name: str, row: dict[str, Any]) -> None:
    """One line a set: single view / averaged over views."""
    cells = [
        f"{each} {100 * np.mean(found['top1']):.1f} / {100 * np.mean(found['top1_views']):.1f}"
        for each, found in row["adapters"].items()
    ]
    rival = row["regression"]
    cells.append(f"regression {100 * rival['top1']:.1f} / {100 * rival['top1_views']:.1f}")
    print(f"{name:12} test {row['n']:4}  {'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
