"""`udta.with_labels`: a store under the labels of a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from udta._console.terminal import first_few
from udta._files.paths import file_sha256
from udta._files.table_file import read_table, texts
from udta.errors import ConfigError, DataError, did_you_mean
from udta.labels._cells import CELLS, Cells
from udta.labels._columns import Columns, choose_columns
from udta.labels._matching import contradictions, match
from udta.labels._sides import RULE, sided
from udta.store import MULTICLASS, Store, open_store, relabelled

_LOG = logging.getLogger(__name__)


def with_labels(
    store: str | Path | Store,
    labels: str | Path | None,
    *,
    column: str | None = None,
    task: str = MULTICLASS,
    separator: str | None = None,
    classes: Sequence[str] = (),
) -> Store:
    """The store under other labels: what trains on it, measures it or reads its `labels` and `classes` has those of the file.

    Features, rows and ids are the store's. Images that the file lacks are unlabelled; ids that the store lacks are passed over;
    both are counted and named in the log and in `label_source`. Splits are those of the file's column `split`, else the store's;
    an image that has none there is for training or testing by its content.

    Args:
        store: a path or an opened store; it stays as it is.
        labels: a CSV, Parquet (`.parquet`) or JSON lines (`.jsonl`) file with a column `path` or `id`; None for the store's own.
        column: which of its columns, or several as `a,b,c`; see `choose_columns` for what is taken without it.
        task: `multiclass`, `multilabel` (several labels a cell, or columns of 0 and 1) or `regression` (columns of numbers).
        separator: of `multilabel`: what stands between the labels of a cell; `;` by default.
        classes: names of classes or labels that there are, such as those of an adapter, although the file may lack some.

    Returns:
        The same features; `labels`, `classes`, `splits` and `task` are those of the file.

    Raises:
        ConfigError: an unknown task or column, not one image of the store, labels that contradict each other or the task.
        DataError: the file cannot be read.
        StoreError: the store cannot be read.

    Example:
        >>> udta.with_labels("photos.zarr", "colours.csv").classes
        ('even', 'odd')
    """
    opened = store if isinstance(store, Store) else open_store(store)
    _check(opened, labels, column, task, separator)
    if labels is None:
        return opened
    path, where = Path(labels), str(labels)
    found: list[Columns] = []

    def choose(there: list[str]) -> Sequence[str]:
        found.append(choose_columns(where, there, column, task))
        return found[0].all

    table, chosen = read_table(path, choose), found[0]
    matching = match(where, texts(table[chosen.ids]), opened)
    # Only what concerns the store: a class that none of its images has would be an output that nothing teaches.
    places = np.flatnonzero(matching.rows >= 0)
    table = {name: [cells[place] for place in places.tolist()] for name, cells in table.items()}
    rows, ids = matching.rows[places], texts(table[chosen.ids])
    values = CELLS[task](Cells(where, ids, {name: table[name] for name in chosen.labels}, separator, classes))
    splits = np.array(texts(table[chosen.split])) if chosen.split else np.full(len(rows), "")
    if len(twice := contradictions(rows, np.nan_to_num(values.labels, nan=np.inf), splits)):
        raise ConfigError(
            f"{where}: {len(twice)} of its rows contradict earlier ones of the same image:"
            f" {first_few([ids[place] for place in twice.tolist()], 3)}"
        )
    every = np.full((len(opened), *values.labels.shape[1:]), -1 if task == MULTICLASS else np.nan)
    every[rows] = values.labels
    source = {"file": path.name, "sha256": _sha256(path), "columns": list(chosen.labels), **matching.to_json()}
    result = relabelled(opened, every, values.names, task, source)
    for note in [
        *matching.notes(where, str(opened.path)),
        *_set_splits(result, where, rows, splits if chosen.split else None),
    ]:
        _LOG.info("%s", note)
    return result


def _check(store: Store, labels: str | Path | None, column: str | None, task: str, separator: str | None) -> None:
    problems = []
    if task not in CELLS:
        problems.append(f"task is {task!r}: {did_you_mean(task, CELLS)}")
    if labels is None:
        given: Mapping[str, Any] = {"column": column, "separator": separator}
        problems += [
            f"{name} is of a file of labels: give --labels" for name, value in given.items() if value is not None
        ]
        if task in CELLS and task not in (MULTICLASS, store.task):
            problems.append(
                f"task is {task!r}, but the labels of {store.path} are of {store.task}: give others by --labels"
            )
    if problems:
        raise ConfigError(problems)


def _set_splits(store: Store, where: str, rows: np.ndarray, splits: np.ndarray | None) -> list[str]:
    """Set the splits of a store that is ours, and what `label_source` tells of them; notes for the user."""
    if splits is not None:
        lost = [str(store.ids[row]) for row in rows[(splits == "") & store.labelled[rows]].tolist()]
        if lost:
            raise ConfigError(f"{where}: {len(lost)} of its rows have a label but no split: {first_few(lost, 3)}")
        # As objects: a NumPy string array would cut a name that is longer than those it was made with.
        every = store.splits.astype(object)
        every[rows] = splits
        store.splits, store.label_source["split"] = every.astype(str), "column"
        return []
    sides = sided(store, store.labelled)
    if sides is None:
        return []
    n_sided = int((store.splits != np.array(sides)).sum())
    store.splits, store.label_source["split"] = np.array(sides), RULE
    return [f"{where}: {n_sided} image(s) are in no split: {RULE}; a column split in it decides otherwise"]


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
