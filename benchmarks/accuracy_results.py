"""What the accuracy benchmark has measured: a JSON file for each backbone and set, and the figures that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udta._files.atomic import write_json

FOLDER = Path(__file__).parent / "results" / "accuracy"
# In the order of the tables: what reads the last module alone, then what reads middle ones, ours last.
ADAPTERS = ("linear", "gda", "ranpac", "concat_linear", "ladder", "attentive", "udta")
FIGURES = {"top1": "single view", "top1_views": "averaged"}


@dataclass
class Result:
    """One set under one backbone: `parts` are what was measured, by name; a part knows which `features` it is of."""

    file: Path
    document: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, backbone: str, name: str, configuration: Mapping[str, Any]) -> Result:
        """What is there, if it was measured in the same way, or an empty one."""
        file = folder / backbone / f"{name}.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        if found.get("configuration") != configuration:
            found = {"backbone": backbone, "set": name, "configuration": dict(configuration), "parts": {}}
        return cls(file, found)

    @property
    def parts(self) -> dict[str, Any]:
        """By name."""
        parts: dict[str, Any] = self.document["parts"]
        return parts

    def has(self, part: str, features: str) -> bool:
        """Whether it was measured on these features."""
        return part in self.parts and self.parts[part]["features"] == features

    def keep(self, part: str, figures: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Add a part to the file, whole or not at all, and what is known of the set beside it.

        What is not known any more, as the time of an extraction, stays as it was.
        """
        self.parts[part] = dict(figures)
        for name, value in facts.items():
            both = isinstance(value, dict) and name in self.document
            self.document[name] = {**self.document[name], **value} if both else value
        write_json(self.file, self.document)


Sets = Mapping[str, Mapping[str, Any]]  # by name, the documents of one backbone


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """Every document, by backbone and set."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*/*.json")):
        found.setdefault(file.parent.name, {})[file.stem] = json.loads(file.read_text())
    return found


def accuracy(document: Mapping[str, Any], part: str, figure: str) -> float | None:
    """Mean over seeds; that of `auto` is the accuracy of what it picked. None where it was not measured."""
    parts = document["parts"]
    if part == "auto" and part in parts:
        part = parts[part]["picked"]
    return float(np.mean(parts[part][figure])) if part in parts else None


def deviation(document: Mapping[str, Any], part: str, figure: str) -> float:
    """Over seeds."""
    values = document["parts"][part][figure]
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def complete(sets: Sets, parts: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """The sets that have all of these parts: means are over the same sets for all that is compared."""
    return {
        name: each for name, each in sets.items() if all(accuracy(each, part, "top1") is not None for part in parts)
    }


def mean(sets: Sets, part: str, figure: str) -> float:
    """Over sets; all of them have it."""
    return float(np.mean([accuracy(each, part, figure) for each in sets.values()]))


def reduction(sets: Sets, part: str, figure: str) -> dict[str, Any]:
    """How much lower an adapter's error is than the regression's in the same figure, views and averaging being the same.

    By set (None where the regression makes no error), their mean, that of the mean error, and the least difference of accuracies.
    """
    ours = {name: 1 - accuracy(each, part, figure) for name, each in sets.items()}  # type: ignore[operator]
    theirs = {name: 1 - accuracy(each, "regression", figure) for name, each in sets.items()}  # type: ignore[operator]
    by_set = {name: 1 - ours[name] / theirs[name] if theirs[name] else None for name in sets}
    return {
        "by_set": by_set,
        "mean": float(np.mean([value for value in by_set.values() if value is not None])),
        "of_mean_error": 1 - sum(ours.values()) / sum(theirs.values()),
        "worst_difference": min(theirs[name] - ours[name] for name in sets),
    }


def train_seconds(document: Mapping[str, Any], part: str) -> float:
    """Processor seconds of one training, cross-validation of `auto` or of the regression's C included."""
    parts = document["parts"]
    if part == "regression":
        return float(sum(each["cpu_seconds"] for each in parts[part]["inputs"].values()))
    return float(parts[part]["cpu_seconds"])


def bytes_per_view(document: Mapping[str, Any], part: str) -> float:
    """Of what an adapter reads, as stored; of the regression that of the input which is best for averages."""
    parts = document["parts"]
    part = parts[part]["picked"] if part == "auto" else part
    if part == "regression":
        return float(parts[part]["inputs"][parts[part]["input_top1_views"]]["bytes_per_view"])
    return float(parts[part]["bytes_per_view"])
