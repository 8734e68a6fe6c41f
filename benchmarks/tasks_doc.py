"""The section of docs/accuracy.md on several labels and numbers, from the results of benchmarks/tasks.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.markdown import table, wrapped

RESULTS = Path(__file__).parent / "results" / "tasks.json"
ADAPTERS = ("linear", "ridge", "ranpac", "gda", "knn")
STORED = "udta"  # reads a store, not vectors
FEWEST_SPECIES = 4  # a word in fewer names is no label

Figures = dict[str, list[float]]  # by seed


def section() -> str:
    """Of the results in this repository."""
    return document(json.loads(RESULTS.read_text()))


def document(results: Mapping[str, Mapping[str, Mapping[str, Figures]]]) -> str:
    """The section."""
    text = "## Several labels, and numbers\n\n" + wrapped(
        f"Against scikit-learn on the same vectors (view 0 of the last tap of a MobileNetV2, 1,280 numbers an image; half of the"
        f" images to train on, drawn {seeds_of(results)} times): labels are the words that at least {FEWEST_SPECIES} of the"
        " species of `birds` have in their names, and the rival is a logistic regression for each; numbers are brightness,"
        " contrast and colourfulness of the photographs, and the rival is ridge regression. What is regularised is chosen on the"
        f" training half alone. `{STORED}`, which has maps to read, is trained from the default taps and eight views of the same"
        " images. Mean and standard deviation; in brackets the difference to the rival on the same halves, with its"
        " standard error. `python -m benchmarks.tasks` writes this."
    )
    columns = [(where, figure) for where, figures in results.items() for figure in figures]
    header = ["adapter", *(f"{where}, {'mAP' if figure == 'map' else 'R2'} %" for where, figure in columns)]
    lines = []
    for name in (STORED, *ADAPTERS, "scikit-learn"):
        cells = [_cell(results[where][figure], name) for where, figure in columns]
        lines.append([name if name == "scikit-learn" else f"`{name}`", *cells])
    return text + "\n" + table(header, lines)


def seeds_of(results: Mapping[str, Mapping[str, Mapping[str, Figures]]]) -> int:
    """How often halves were drawn."""
    return min(len(values) for figures in results.values() for found in figures.values() for values in found.values())


def _cell(found: Figures, name: str) -> str:
    values, rival = 100 * np.array(found[name]), 100 * np.array(found["scikit-learn"])
    text = f"{values.mean():.1f} +- {values.std(ddof=1):.1f}"
    if name == "scikit-learn":
        return text
    difference = values - rival
    return f"{text} ({difference.mean():+.1f} +- {difference.std(ddof=1) / len(difference) ** 0.5:.1f})"
