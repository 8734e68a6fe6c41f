"""Adapters against the tuned last-tap logistic regression, on real photographs.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.accuracy [--seeds 3] [--sets birds,flowers] [--stores DIR]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`. Features are extracted once (five views), then every
adapter is trained with its own default recipe: nothing is chosen on the test split. The regression (scikit-learn, standardised
average of the last tap, view 0) has its C chosen by 5-fold cross-validation on the training images. Prints a table and the
ratio of errors, writes `benchmarks/results/accuracy.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import udta
from udta.files import write_json

SETS = ("birds", "butterflies", "flowers", "food", "monkeys")
ADAPTERS = ("linear", "concat_linear", "udta")
BACKBONE = "torchvision.models.quantization:mobilenet_v2?quantize=false"
TAPS = "features.13=grid(14),features.17,features.18=avg"
VIEWS = 5
LAST_TAP = "features.18"
CS = np.logspace(-4, 1, 11)
RESULT = Path(__file__).parent / "results" / "accuracy.json"


def extract(real: Path, name: str, stores: Path) -> dict[str, Any]:
    """One store; its report."""
    images = real / "real" / name
    splits = images / "SPLITS.csv"
    report = udta.extract(
        images,
        backbone=BACKBONE,
        weights=str(real / "weights" / "mobilenet_v2_relu.pth"),
        taps=TAPS,
        views=VIEWS,
        splits=splits if splits.exists() else None,
        out=stores / name,
    )
    return report.to_json()


def regression(store: udta.Store) -> dict[str, float]:
    """The rival: top-1 on view 0 of the test split."""
    started = time.perf_counter()
    features, labels = {}, {}
    for split in ("train", "test"):
        rows = store.rows(split)
        features[split] = store.read(rows, taps=[LAST_TAP], views=[0], dtype="float32")[LAST_TAP][:, 0]
        labels[split] = store.labels[rows]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": CS},
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    ).fit(features["train"], labels["train"])
    return {
        "top1": float(search.score(features["test"], labels["test"])),
        "C": float(search.best_params_["logisticregression__C"]),
        "seconds": time.perf_counter() - started,
    }


def adapter(store: udta.Store, name: str, seeds: int, runs: Path) -> dict[str, Any]:
    """Mean over seeds of what `udta train` measures, and every seed's top-1."""
    reports = [udta.train(store, out=runs / name / str(seed), adapter=name, seed=seed) for seed in range(seeds)]
    figures = {
        key: float(np.mean([report.metrics[key] for report in reports]))
        for key in ("top1", "top1_views", "mean_per_class")
    }
    return {
        **figures,
        "top1_by_seed": [report.metrics["top1"] for report in reports],
        "parameters": reports[0].parameters,
        "train_seconds": float(np.mean([report.seconds for report in reports])),
    }


def main() -> None:
    """Measure everything, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--stores", type=Path, default=Path("stores/accuracy"))
    arguments = parser.parse_args()
    if "UDTA_REAL_DATA" not in os.environ:
        sys.exit("set UDTA_REAL_DATA to the folder with real/ and weights/")
    results = {}
    for name in arguments.sets.split(","):
        extraction = extract(Path(os.environ["UDTA_REAL_DATA"]), name, arguments.stores)
        store = udta.open_store(arguments.stores / name)
        runs = arguments.stores / "runs" / name
        trained = {each: adapter(store, each, arguments.seeds, runs) for each in ADAPTERS}
        results[name] = {
            "n": len(store.rows("test")),
            "regression": regression(store),
            "extraction": extraction,
            **trained,
        }
        print_row(name, results[name])
    reduction = error_reduction(results)
    mean, summed, worst = (100 * reduction[name] for name in ("mean", "of_mean_error", "worst_difference"))
    print(
        f"udta's error is lower than the regression's by {mean:.1f} % on average over the sets where the regression errs, "
        f"{summed:.1f} % in mean error; worst difference {worst:+.2f} points"
    )
    versions = {"python": platform.python_version(), "torch": torch.__version__, "scikit-learn": sklearn.__version__}
    document = {
        "versions": versions, "cores": os.cpu_count(), "seeds": arguments.seeds,
        "backbone": BACKBONE, "taps": TAPS, "views": VIEWS,
        "error_reduction": reduction, "sets": results,
    }  # fmt: skip
    write_json(RESULT, document)


def error_reduction(results: dict[str, Any]) -> dict[str, Any]:
    """By set (None where the regression makes no error), their mean, that of the mean error, and the worst top-1 difference."""
    ours = {name: 1 - row["udta"]["top1"] for name, row in results.items()}
    theirs = {name: 1 - row["regression"]["top1"] for name, row in results.items()}
    by_set = {name: 1 - ours[name] / theirs[name] if theirs[name] else None for name in results}
    return {
        "by_set": by_set,
        "mean": float(np.mean([value for value in by_set.values() if value is not None])),
        "of_mean_error": 1 - sum(ours.values()) / sum(theirs.values()),
        "worst_difference": min(theirs[name] - ours[name] for name in results),
    }


def print_row(name: str, row: dict[str, Any]) -> None:
    """One line a set."""
    cells = [f"{each} {100 * row[each]['top1']:.1f} / {100 * row[each]['top1_views']:.1f}" for each in ADAPTERS]
    seeds = " ".join(f"{100 * top1:.1f}" for top1 in row["udta"]["top1_by_seed"])
    print(
        f"{name:12} test {row['n']:4}  regression {100 * row['regression']['top1']:.1f} (C {row['regression']['C']:.2g})  "
        + "  ".join(cells)
        + f"  [udta by seed: {seeds}; {row['udta']['train_seconds']:.0f} s]",
        flush=True,
    )


if __name__ == "__main__":
    main()
