"""What the cells of a file of labels say, by task. A new task has a line in `CELLS`, and `udta.tasks` says what it is beyond."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from udta._console.terminal import first_few
from udta._files.names import class_order, labels_problem
from udta._files.table_file import texts, whole_numbers
from udta.errors import ConfigError

SEPARATOR = ";"
# Outputs of an adapter; a column of comments instead of labels would be a network of gigabytes.
MOST_NAMES = 20_000
_YES_OR_NO = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0, "": math.nan}


@dataclass(frozen=True)
class Cells:
    """The cells of some columns, a row an image.

    `where` names the file and `ids` the images, for messages; `separator` is what was given, None for the usual one. `classes`
    are names that there are, whether or not one of these cells holds them.
    """

    where: str
    ids: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    separator: str | None
    classes: Sequence[str] = ()

    def refuse(self, rows: Sequence[int], what: str) -> None:
        """Raises `ConfigError` that names these rows, if there are any."""
        if rows:
            named = first_few([self.ids[row] for row in rows], 3)
            raise ConfigError(f"{self.where}: {len(rows)} of its rows {what}: {named}")


@dataclass(frozen=True)
class Values:
    """`labels` as a store has them, a row an image; `names` are those of classes, labels or targets."""

    names: tuple[str, ...]
    labels: Shaped[np.ndarray, "images ..."]


def class_cells(cells: Cells) -> Values:
    """A class a cell, text or a whole number; an empty cell is an unknown one, -1."""
    [(name, values)] = cells.columns.items()
    if cells.separator is not None:
        raise ConfigError("separator is of several labels a cell: give --task multilabel, or leave it out")
    cells.refuse(_rows(values, list), f"hold several values in {name!r}: give --task multilabel")
    labels = whole_numbers(texts(values))
    names = _checked(cells, class_order({*labels, *cells.classes} - {""}), least=2)
    index = {"": -1, **{name: number for number, name in enumerate(names)}}
    return Values(names, np.fromiter((index[label] for label in labels), dtype=np.int64, count=len(labels)))


def label_cells(cells: Cells) -> Values:
    """Several labels a cell, none in an empty one; or a column of 0 and 1 for each label, unknown where one is empty."""
    flags = {name: _flags(values) for name, values in cells.columns.items()}
    wrong = [name for name, values in flags.items() if values is None]
    if not wrong and cells.separator is None:
        names = _checked(cells, list(flags), least=1)
        return Values(names, _rows_or_nothing(np.array([*flags.values()], dtype=np.float32).T))
    if len(cells.columns) > 1:
        raise ConfigError(
            f"{cells.where}: each of several columns is a label, of 0 and 1 without a separator, but these are"
            f" {', '.join(map(repr, wrong or flags))}: name with --column one column of labels, or those of 0 and 1"
        )
    [values] = cells.columns.values()
    _check_separator(cells, values)
    found = [_labels_of(value, cells.separator or SEPARATOR) for value in values]
    names = _checked(cells, class_order({*itertools.chain.from_iterable(found), *cells.classes}), least=1)
    index = {name: number for number, name in enumerate(names)}
    labels = np.zeros((len(found), len(names)), dtype=np.float32)
    rows = np.repeat(np.arange(len(found)), [len(labels) for labels in found])
    labels[rows, [index[label] for label in itertools.chain.from_iterable(found)]] = 1
    return Values(names, labels)


def number_cells(cells: Cells) -> Values:
    """A number in each column; an image that lacks one of them is unknown."""
    if cells.separator is not None:
        raise ConfigError("separator is of several labels a cell: give --task multilabel, or leave it out")
    columns = []
    for name, values in cells.columns.items():
        numbers = [_number(value) for value in values]
        cells.refuse([row for row, number in enumerate(numbers) if number is None], f"have no number in {name!r}")
        columns.append(numbers)
    labels = np.array(columns, dtype=np.float64).T
    # Above it a number is infinite in float32, which labels and losses are.
    beyond = (np.abs(labels) > np.finfo(np.float32).max).any(axis=1)
    cells.refuse(np.flatnonzero(beyond).tolist(), "hold a number that is not finite in float32")
    return Values(_checked(cells, list(cells.columns), least=1), _rows_or_nothing(labels))


CELLS: Mapping[str, Callable[[Cells], Values]] = {
    "multiclass": class_cells,
    "multilabel": label_cells,
    "regression": number_cells,
}


def _checked(cells: Cells, names: Sequence[str], least: int) -> tuple[str, ...]:
    what = "class(es)" if least > 1 else "label(s)"
    if len(names) < least:
        raise ConfigError(f"{cells.where}: {len(names)} {what}, but at least {least} are needed")
    if len(names) > MOST_NAMES:
        raise ConfigError(
            f"{cells.where}: {len(names):,} {what}, and {MOST_NAMES:,} at the most can be told apart: is it the right column?"
        )
    if problem := labels_problem(names, "class"):
        raise ConfigError(f"{cells.where}: {problem}")
    return tuple(names)


def _check_separator(cells: Cells, values: Sequence[Any]) -> None:
    """Raises `ConfigError` where none was given, the usual one is nowhere, and another one is."""
    found = [value for value in values if isinstance(value, str)]
    if cells.separator is None and not any(SEPARATOR in text for text in found):
        for other in ("|", ","):
            if rows := [text for text in found if other in text]:
                raise ConfigError(
                    f"{cells.where}: no cell has {SEPARATOR!r} between labels, but {len(rows)} have {other!r}, such as"
                    f" {rows[0]!r}: give --separator {other!r}, or {SEPARATOR!r} where that is one label"
                )


def _rows(values: Sequence[Any], kind: type) -> list[int]:
    return [row for row, value in enumerate(values) if isinstance(value, kind)]


def _rows_or_nothing(labels: np.ndarray) -> np.ndarray:
    """A row is known as a whole or not at all."""
    return np.where(np.isnan(labels).any(axis=1, keepdims=True), np.nan, labels).astype(np.float32)


def _flags(values: Sequence[Any]) -> np.ndarray | None:
    """0, 1 and NaN; None where there is anything else, or nothing at all."""
    if _rows(values, list):
        return None
    try:
        found = np.array([_YES_OR_NO[text.lower()] for text in texts(values)])
    except KeyError:
        return None
    return None if np.isnan(found).all() else found


def _labels_of(value: Any, separator: str) -> list[str]:
    """The labels of a cell, each once: a text with separators, or a list as Parquet and JSON have it."""
    parts = texts(value) if isinstance(value, list) else texts([value])[0].split(separator)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _number(value: Any) -> float | None:
    """NaN where there is none, None where there is something else."""
    if value is None or value == "":
        return math.nan
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
