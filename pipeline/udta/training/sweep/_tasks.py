"""What one adapter sees of a store: its task's labels, its share of the training rows, its taps."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from udta._files.table_file import read_columns
from udta.errors import ConfigError, did_you_mean
from udta.store import Store, twin

TRAIN, VALIDATION, UNUSED = "train", "validation", "unused"
STORE_TASK = "store"  # the task that a store itself has labels of


def with_task(store: Store, table: Path | None) -> Store:
    """The store with another task's labels over the same images; rows that the table lacks, or leaves empty, are unlabelled.

    Raises:
        ConfigError: paths that are not in the store, or twice in the table, fewer than two classes.
        DataError: the table cannot be read.
    """
    task = twin(store)  # a copy that shares the features: what differs are labels and classes alone
    if table is None:
        return task
    columns = read_columns(table, required=("path", "label"))
    label_of = dict(zip(columns["path"], columns["label"], strict=True))
    known = set(store.ids.tolist())
    unknown = [name for name in label_of if name not in known]
    problems = []
    if unknown:
        hint = did_you_mean(unknown[0], store.ids.tolist())
        problems.append(f"{table}: {len(unknown)} path(s) are not in {store.path}, such as {unknown[0]!r}: {hint}")
    if len(label_of) < len(columns["path"]):
        problems.append(
            f"{table}: {len(columns['path']) - len(label_of)} of its rows repeat the path of an earlier one"
        )
    # Sorted: their order must not depend on that of the table, as it is that of the logits.
    classes = tuple(sorted({label for label in label_of.values() if label}))
    if len(classes) < 2:
        problems.append(f"{table}: {len(classes)} class(es), but a classifier needs at least two")
    if problems:
        raise ConfigError(problems)
    index = {name: number for number, name in enumerate(classes)}
    task.classes = classes
    task.labels = np.array([index.get(label_of.get(name, ""), -1) for name in store.ids.tolist()], dtype=np.int64)
    return task


def task_names(tables: Iterable[Path | None]) -> dict[Path | None, str]:
    """What to call the tasks of these label tables: a name each, which is fit for a folder; None is the store's own labels.

    The stem of the file, `colours`; where two have the same, with the folder, `birds-colours`; where that is no help, numbered.
    Upper and lower case tell none apart, because they do not on every file system.
    """
    found = list(dict.fromkeys(tables))
    names: dict[Path | None, str] = dict.fromkeys([None] if None in found else [], STORE_TASK)
    taken = Counter(names.values())
    left = [table for table in found if table is not None]
    for levels in (1, 2):
        short = {table: _folder_name((*table.absolute().parts[:-1], table.stem)[-levels:]) for table in left}
        there = taken + Counter(name.casefold() for name in short.values())
        names |= {table: name for table, name in short.items() if there[name.casefold()] == 1}
        left = [table for table in left if table not in names]
        taken = Counter(name.casefold() for name in names.values())
    for table in left:
        numbered = (f"{_folder_name([table.stem])}-{number}" for number in itertools.count(1))
        names[table] = next(name for name in numbered if not taken[name.casefold()])
        taken[names[table].casefold()] += 1
    return names


def _folder_name(parts: Iterable[str]) -> str:
    return re.sub(r"[^\w.+=-]", "_", "-".join(parts))


def with_taps(store: Store, taps: Sequence[str] | None) -> Store:
    """The store with these taps alone. Raises `ConfigError` for unknown ones."""
    chosen = twin(store)
    names = store.check_taps(taps)
    chosen.taps = {name: spec for name, spec in store.taps.items() if name in names}
    return chosen


def with_validation(store: Store, share: float, seed: int) -> Store:
    """The store with `share` of each class's training rows in the split `validation` instead.

    Rows are ranked by SHA-256("seed:content hash"), so that two copies of an image are always on the same side. A class keeps
    at least one image for training. Rows of other splits stay as they are.
    """
    # Where the store knows no hash, an image is itself alone.
    carved, content = twin(store), [store.hashes.get(name, name) for name in store.ids.tolist()]
    chosen: set[str] = set()
    for rows in _by_class(store):
        images = _ranked(dict.fromkeys(content[row] for row in rows), seed)
        # By hash, not by position: an image stays on its side when others are added.
        chosen |= set(images[: min(round(share * len(images)), len(images) - 1)])
    carved.splits = np.array(
        [
            VALIDATION if split == TRAIN and image in chosen else split
            for split, image in zip(store.splits.tolist(), content, strict=True)
        ]
    )
    return carved


def with_label_fraction(store: Store, fraction: float, seed: int) -> Store:
    """The store with only `fraction` of each class's training rows, rounded up; a smaller fraction is a subset of a larger."""
    if fraction == 1:
        return store
    # As objects: a NumPy string array would cut a name that is longer than those it was made with.
    reduced, splits = twin(store), store.splits.astype(object)
    for rows in _by_class(store):
        ranked = _ranked([str(store.ids[row]) for row in rows], seed)
        kept = set(ranked[: math.ceil(fraction * len(ranked))])
        splits[[row for row in rows if str(store.ids[row]) not in kept]] = UNUSED
    reduced.splits = splits.astype(str)
    return reduced


def _by_class(store: Store) -> list[list[int]]:
    """The labelled training rows of each class."""
    rows = store.rows(TRAIN)
    return [rows[store.labels[rows] == label].tolist() for label in range(len(store.classes))]


def _ranked(names: Iterable[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
