"""Which rows of a store an adapter is measured on, and what their labels are among the adapter's classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Num
from numpy.typing import ArrayLike

from udta.errors import AdapterError, ConfigError, did_you_mean
from udta.store import Store
from udta.tasks import Task


def labelled_rows(store: Store, split: str, rows: ArrayLike | None = None) -> Int64[np.ndarray, " rows"]:
    """The rows of a split that have a label, or exactly the `rows` given.

    Raises:
        ConfigError: there is none, or one of those given has no label.
        UncommittedRowError, IndexError: one of those given was never committed, or is outside of the store.
    """
    if rows is not None:
        given = store.check_rows(rows)
        # Refused, not dropped: who names rows counts on every one of them.
        if not len(given) or not store.labelled[given].all():
            raise ConfigError("rows must be at least one, and all of them must have a label")
        return given
    if not store.labelled.any():
        raise ConfigError(f"{store.path} has no labels: give a file of them (--labels)")
    found: np.ndarray = store.rows(split)
    found = found[store.labelled[found]]
    if not len(found):
        raise ConfigError(f"{store.path} has no labelled row in split {split!r}")
    return found


def test_rows(store: Store, split: str | None) -> Int64[np.ndarray, " rows"] | None:
    """The labelled rows of a split to measure on: by default of `test`, or None where the store has none of that.

    Raises:
        ConfigError: a split was given, and no labelled row is in it.
    """
    # A split that somebody named and that is not there is a misspelling; one that nobody named is only not measured.
    if split is None and not ((store.splits == "test") & store.labelled).any():
        return None
    return labelled_rows(store, split or "test")


def labels_among(
    store: Store, task: Task, classes: Sequence[str], rows: Int64[np.ndarray, " rows"]
) -> Num[np.ndarray, "rows ..."]:
    """The labels of rows as an adapter with these `classes` knows them, by name: two stores may order theirs differently.

    Raises:
        AdapterError: the labels are of another task, a class of the store is not among those of the adapter, or of several
            labels or numbers one of the adapter is not among those of the store.
    """
    if store.task != task.name:
        raise AdapterError(f"the adapter was trained for {task.name}, and the labels of {store.path} are {store.task}")
    unknown = [name for name in store.classes if name not in classes]
    if unknown:
        raise AdapterError(
            f"{store.path} has {len(unknown)} class(es) that the adapter does not know, such as {unknown[0]!r}: "
            f"{did_you_mean(unknown[0], classes)}"
        )
    if task.exclusive:
        index = np.array([classes.index(name) for name in store.classes], dtype=np.int64)
        found: np.ndarray = index[store.labels[rows]]
        return found
    # Images that nobody looked at for a label are not images without it.
    absent = [name for name in classes if name not in store.classes]
    if absent:
        raise AdapterError(
            f"{store.path} says nothing of {len(absent)} label(s) or target(s) of the adapter, such as {absent[0]!r}:"
            f" {did_you_mean(absent[0], store.classes)}"
        )
    columns: np.ndarray = store.labels[rows][:, [store.classes.index(name) for name in classes]]
    return columns
