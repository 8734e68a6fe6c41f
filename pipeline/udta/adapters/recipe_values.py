"""What the fields of a recipe may be: every mistake at once, with the nearest valid name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from udta._files.table_file import read_columns
from udta.errors import ConfigError, DataError, Problems, did_you_mean

ClassWeights = str | tuple[tuple[str, float], ...]
"""`none`, `balanced`, or weights by class name; a class that is not among these has the weight 1."""

# One sample has no batch statistics, and where all of a target is smoothed away every class is the same.
_LIMITS = {"epochs": (1, 10_000), "batch_size": (2, 65_536), "label_smoothing": (0, 0.99), "logit_adjustment": (0, 10)}
CLASS_WEIGHTS = ("none", "balanced")  # beside files and mappings
AFTERWARDS = ("logit_adjustment",)  # what closed forms have too: it needs no step
_CHOICES = {"sampling": ("uniform", "balanced"), "class_weights": CLASS_WEIGHTS}
# Each of them makes up for rare classes: two would make up for them twice, and prefer them.
_EXCLUSIVE = {"class_weights": "none", "sampling": "uniform", "logit_adjustment": 0.0}


def checked(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as fields of a recipe hold them.

    Args:
        recipe: every field with its value before.
        changes: by field; `class_weights` may be a CSV or Parquet file `class,weight`, or a mapping.

    Raises:
        ConfigError: unknown fields or impossible values; every problem is listed.
    """
    problems, found = Problems(), {}
    for name, value in changes.items():
        if name in recipe:
            found[name] = problems.collect(_field, name, value, type(recipe[name]))
        else:
            problems.add(f"a recipe has no {name!r}: {did_you_mean(name, recipe)}")
    given = [name for name, off in _EXCLUSIVE.items() if {**recipe, **found}[name] not in (off, None)]
    if len(given) > 1:
        problems.add(f"recipe: {' and '.join(given)} each make up for rare classes: give one of them alone")
    problems.raise_any()
    return found


def _field(name: str, value: Any, kind: type) -> Any:
    if name == "class_weights":
        return _class_weights(value)
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ConfigError(f"recipe: {name} is {value!r}: {did_you_mean(str(value), _CHOICES[name])}")
        return value
    low, high = _LIMITS.get(name, (0, math.inf))
    # 40.0 is 40, as JSON and YAML may write it; 2.5 epochs were taken once.
    if not (_is_number(value) and low <= value <= high and kind(value) == value):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"recipe: {name} is {value!r}, but it is {what} from {low} to {high}")
    return kind(value)


def _class_weights(value: Any) -> ClassWeights:
    if isinstance(value, str) and value in CLASS_WEIGHTS:
        return value
    if isinstance(value, str | Path):
        if not Path(value).exists():
            raise ConfigError(
                f"recipe: class_weights is {str(value)!r}; {did_you_mean(str(value), CLASS_WEIGHTS)}"
                " (or a file `class,weight`; there is none of this name)"
            )
        return _weights(_file_rows(Path(value)), f"{value}:")
    if isinstance(value, Mapping):
        return _weights(value.items(), "recipe: class_weights:")
    if isinstance(value, tuple):  # as a recipe has them already
        return _weights(value, "recipe: class_weights:")
    raise ConfigError(f"recipe: class_weights is {value!r}: give none, balanced, a file `class,weight` or a mapping")


def _file_rows(path: Path) -> Iterable[tuple[str, Any]]:
    try:
        columns = read_columns(path, required=("class", "weight"))
    except DataError as error:
        raise ConfigError(str(error)) from error
    return zip(columns["class"], map(_as_number, columns["weight"]), strict=True)


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # what is no number is told with its class


def _weights(pairs: Iterable[tuple[Any, Any]], where: str) -> tuple[tuple[str, float], ...]:
    """By name, sorted: equal weights are equal however they were written."""
    given = [(str(name), weight) for name, weight in pairs]
    problems = [
        f"{where} the weight of {name!r} is {weight!r}, but it is a number above 0"
        for name, weight in given
        if not (_is_number(weight) and 0 < weight < math.inf)
    ]
    names = [name for name, _ in given]
    problems += [f"{where} {name!r} has several weights" for name in sorted({n for n in names if names.count(n) > 1})]
    if not given:
        problems.append(f"{where} there is no weight in it")
    if problems:
        raise ConfigError(problems)
    return tuple(sorted((name, float(weight)) for name, weight in given))


def _is_number(value: Any) -> bool:
    # A truth value is an int to Python: `epochs: yes` of a YAML file would be one epoch.
    return isinstance(value, int | float) and not isinstance(value, bool)
