"""Adapters against the tuned logistic regression and against each other, on six sets of real photographs and two backbones.

    UDTA_REAL_DATA=FOLDER python -m benchmarks.accuracy [--backbones deit_tiny] [--sets food,textures] [--adapters udta,auto]
                                                        [--seeds 5] [--again udta,auto]

FOLDER holds `real/<set>/<class>/*.jpg` and `weights/`. A set is extracted twice in eight views: as it is done by default, without
`--taps`, and with the taps found by hand, which hold what the regression reads. Every adapter is trained from the default store
with its own default recipe, five seeds; nothing is chosen on a test split. `benchmarks.accuracy_parts` says what is measured.

What is there already is not measured again, unless its store has other features or `--again` names it: each part is kept in
`benchmarks/results/accuracy/BACKBONE/SET.json` as soon as it is there, so that a run can be stopped, and processes with other
backbones or sets may run beside each other. In the end docs/accuracy.md is written from all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks import accuracy_doc
from benchmarks.accuracy_parts import CHECKS, UINT8_SETS, Place, measure
from benchmarks.accuracy_results import ADAPTERS, FOLDER, Result
from benchmarks.real import BACKBONES, SETS, real_data

VIEWS = 8


def main() -> None:
    """Measure what is missing, print it, keep it, render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", type=_names, default=list(BACKBONES))
    parser.add_argument("--sets", type=_names, default=list(SETS))
    parser.add_argument("--adapters", type=_names, default=[*ADAPTERS, "auto"])
    parser.add_argument("--checks", type=_names, default=list(CHECKS), help=f"of {', '.join(CHECKS)}")
    parser.add_argument(
        "--again", type=_names, default=[], help="adapters and checks that are measured though they are there"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--work", type=Path, default=Path("stores/accuracy"), help="where stores and runs go")
    parser.add_argument(
        "--stores", type=Path, help="stores that are there: default/BACKBONE/SET and by_hand/BACKBONE/SET"
    )
    options = parser.parse_args()
    real = real_data()
    for backbone in options.backbones:
        for name in options.sets:
            place = Place(BACKBONES[backbone], name, real, options.work, options.stores, options.views, options.seeds)
            checks = [check for check in options.checks if check != "uint8" or name in UINT8_SETS]
            measure_missing(place, [*options.adapters, *checks], options.again)
    accuracy_doc.main()


def measure_missing(place: Place, wanted: list[str], again: list[str]) -> None:
    """The parts of one set under one backbone, each kept at once."""
    result = Result.of(FOLDER, place.frozen.name, place.name, place.configuration)
    parts = list(wanted)
    for part in parts:  # grows by what `auto` picks
        features = place.features(part)
        if part in again or not result.has(part, features):
            result.keep(part, {**measure(place, part), "features": features}, place.facts())
        figures = result.parts[part]
        if "picked" in figures and figures["picked"] not in parts:
            parts.append(figures["picked"])
        print(f"{place.frozen.name} {place.name:12} {part:14} {_line(figures)}", flush=True)


def _line(figures: dict[str, object]) -> str:
    if "picked" in figures:
        return f"picked {figures['picked']}"
    if "top1" in figures:
        return f"{100 * np.mean(figures['top1']):.1f} / {100 * np.mean(figures['top1_views']):.1f}"  # type: ignore[arg-type]
    return str({key: value for key, value in figures.items() if key != "features"})


def _names(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


if __name__ == "__main__":
    main()
