"""Which samples are for training and which for testing: from a file, or by a seeded rule."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from udta.data.listing import relative_id
from udta.data.manifest import UNLABELLED, first_few
from udta.data.tables import read_columns
from udta.errors import DataError

TRAIN, TEST = "train", "test"
_TRAIN_SHARE = 0.7


def splits_from_file(path: Path, root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """The split of every image, from a CSV `path,split` with paths relative to the images.

    Raises:
        DataError: a path that is no image here or is there twice, an image that the file lacks, an empty split.
    """
    columns = read_columns(path, required=("path", "split"))
    names = [relative_id(root, name) for name in columns["path"]]
    split_of = dict(zip(names, columns["split"], strict=True))
    known = set(ids)
    problems = [
        f"{path}: {len(wrong)} {what}: {first_few(wrong)}"
        for what, wrong in (
            (f"path(s) are not among the images of {root}", [name for name in split_of if name not in known]),
            ("image(s) are missing in it", [name for name in ids if name not in split_of]),
            ("image(s) have an empty split", [name for name, split in split_of.items() if not split]),
        )
        if wrong
    ]
    if len(split_of) < len(names):
        problems.append(f"{path}: {len(names) - len(split_of)} of its rows repeat the path of an earlier one")
    if problems:
        raise DataError("\n".join(problems))
    return tuple(split_of[name] for name in ids)


def stratified_rule(seed: int) -> str:
    """How `stratified_splits` is recorded in a manifest."""
    return f"stratified 70/30 seed {seed}"


def stratified_splits(ids: Sequence[str], labels: Sequence[str], seed: int) -> tuple[str, ...]:
    """In each class, `round(0.7 n)` samples are for training and the rest for testing, at least one each when n >= 2.

    The samples of a class are ranked by SHA-256("seed:id"), so that the rule does not depend on the order of rows, on other
    classes, or on a random number library; a single sample is for training, one without a class is `unlabelled`.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for name, label in zip(ids, labels, strict=True):
        by_class[label].append(name)
    unlabelled = by_class.pop("", [])
    split_of = dict.fromkeys(unlabelled, UNLABELLED)
    for names in by_class.values():
        ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
        n_train = max(1, min(round(_TRAIN_SHARE * len(ranked)), len(ranked) - 1))
        split_of |= {name: TRAIN if rank < n_train else TEST for rank, name in enumerate(ranked)}
    return tuple(split_of[name] for name in ids)
