"""What one adapter sees of a store: its share of the training rows, its taps; and what tasks are called."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from udta.labels.options import LabelOptions
from udta.store import Store, twin
from udta.tasks import find_task

TRAIN, VALIDATION, UNUSED = "train", "validation", "unused"
STORE_TASK = "store"  # the task that a store itself has labels of


def task_names(tasks: Iterable[LabelOptions]) -> dict[LabelOptions, str]:
    """What to call these tasks: a name each, which is fit for a folder; `store` is that of the store's own labels.

    The stem of the file of labels, `birds`; where two have the same, with the column, `birds-colour`, and with the folder,
    `2024-birds-colour`; where that is no help, numbered. Upper and lower case tell none apart, because they do not on every file
    system.
    """
    found = list(dict.fromkeys(tasks))
    names = {task: STORE_TASK for task in found if task.labels is None}
    taken = Counter(names.values())
    left = [(task, _name_parts(task)) for task in found if task.labels is not None]
    for chosen in (slice(1, 2), slice(1, 3), slice(0, 3)):
        short = {task: _folder_name(filter(None, parts[chosen])) for task, parts in left}
        there = taken + Counter(name.casefold() for name in short.values())
        names |= {task: name for task, name in short.items() if there[name.casefold()] == 1}
        left = [(task, parts) for task, parts in left if task not in names]
        taken = Counter(name.casefold() for name in names.values())
    for task, parts in left:
        numbered = (f"{_folder_name([parts[1]])}-{number}" for number in itertools.count(1))
        names[task] = next(name for name in numbered if not taken[name.casefold()])
        taken[names[task].casefold()] += 1
    return names


def _name_parts(task: LabelOptions) -> tuple[str, str, str]:
    """Folder, stem and column."""
    assert task.labels is not None
    return task.labels.absolute().parent.name, task.labels.stem, task.column or ""


def _folder_name(parts: Iterable[str]) -> str:
    return re.sub(r"[^\w.+=-]", "_", "-".join(parts))


def with_taps(store: Store, taps: Sequence[str] | None) -> Store:
    """The store with these taps alone. Raises `ConfigError` for unknown ones."""
    chosen = twin(store)
    names = store.check_taps(taps)
    chosen.taps = {name: spec for name, spec in store.taps.items() if name in names}
    return chosen


def with_validation(store: Store, share: float, seed: int) -> Store:
    """The store with `share` of the training rows of each class in the split `validation` instead.

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
    """The labelled training rows of each class, or of what is alike in another task."""
    rows = store.rows(TRAIN)
    rows = rows[store.labelled[rows]]
    strata = find_task(store.task).strata(store.labels[rows])
    return [rows[strata == stratum].tolist() for stratum in np.unique(strata)]


def _ranked(names: Iterable[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
