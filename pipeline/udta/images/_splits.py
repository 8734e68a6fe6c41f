"""Which samples are for training and which for testing: from a file, or by a seeded rule."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from udta._console.terminal import first_few
from udta._files.names import UNLABELLED, other_spellings
from udta._files.table_file import read_columns
from udta.errors import DataError
from udta.fingerprint import UNREADABLE
from udta.images._listing import relative_id

TRAIN, TEST = "train", "test"
# Part of the rule's name, which stores record: another share is another rule.
_TRAIN_SHARE = 0.7


def splits_from_file(path: Path, root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """The split of every image, from a CSV `path,split` with paths relative to the images.

    Raises:
        DataError: a path that is no image here or is there twice, an image that the file lacks, an empty split.
    """
    columns, known = read_columns(path, required=("path", "split")), set(ids)
    names = [_known_id(root, name, known) for name in columns["path"]]
    split_of = dict(zip(names, columns["split"], strict=True))
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
    return f"stratified 70/30 seed {seed}, equal files together"


def stratified_splits(ids: Sequence[str], labels: Sequence[str], hashes: Sequence[str], seed: int) -> tuple[str, ...]:
    """In each class, `round(0.7 n)` samples are for training and the rest for testing, at least one each when n >= 2.

    The samples of a class are ranked by SHA-256("seed:id"), so that the rule does not depend on the order of rows, on other
    classes, or on a random number library; a single sample is for training, one without a class is `unlabelled`. Files with the
    same bytes are all on the side of the first one, of whatever class they are, so that nothing is tested that was trained on.

    Args:
        ids: of the samples.
        labels: class names, '' where unknown.
        hashes: of their content.
        seed: of the ranking.
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        by_class[label].append(row)
    splits = [UNLABELLED] * len(ids)
    by_class.pop("", None)  # they stay `unlabelled`
    copies = _copies(hashes)
    side: dict[str, str] = {}
    for label in sorted(by_class):
        # A rank by hash moves nobody when an image is added or removed, but those at the border; a shuffled list moves everybody.
        ranked = sorted(by_class[label], key=lambda row: hashlib.sha256(f"{seed}:{ids[row]}".encode()).digest())
        # At least one to test where there are two, and one to train always: `min` first, since it is 0 for a class of one.
        n_train = max(1, min(round(_TRAIN_SHARE * len(ranked)), len(ranked) - 1))
        n_copies = Counter(hashes[row] for row in ranked if hashes[row] in copies)
        # Copies whose side an earlier class has decided are counted first: they cannot move any more.
        taken = sum(n for content, n in n_copies.items() if side.get(content) == TRAIN)
        for row in ranked:
            content = hashes[row]
            if content not in copies:
                splits[row] = TRAIN if taken < n_train else TEST
                taken += splits[row] == TRAIN
                continue
            if content not in side:
                n = n_copies[content]
                # All of them go to training only where that leaves something to test, or where there is nothing else.
                side[content] = TRAIN if n == len(ranked) or (taken < n_train and taken + n < len(ranked)) else TEST
                taken += n if side[content] == TRAIN else 0
            splits[row] = side[content]
    return tuple(splits)


def split_notes(
    ids: Sequence[str], labels: Sequence[str], hashes: Sequence[str], splits: Sequence[str]
) -> tuple[str, ...]:
    """What a user should know of a split: equal files of two classes or on both sides, no training images of a class, no test."""
    copies = _copies(hashes)
    groups: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(hashes):
        if content in copies:
            groups[content].append(row)
    notes = []
    for what, of in (
        ("more than one class: one of the labels is wrong", labels),
        ("more than one split: what is tested there was trained on", splits),
    ):
        found = [rows for rows in groups.values() if len({of[row] for row in rows if labels[row]}) > 1]
        if found:
            named = first_few([" = ".join(ids[row] for row in rows[:3]) for rows in found], 3)
            notes.append(f"{len(found)} file(s) have byte-identical copies in {what}: {named}")
    trained = {label for label, split in zip(labels, splits, strict=True) if split == TRAIN}
    untrained = {label for label in labels if label} - trained
    if trained and untrained:
        named = first_few(sorted(untrained))
        notes.append(f"{len(untrained)} class(es) have no training image, so that no adapter can learn them: {named}")
    others = sorted(set(splits) - {TRAIN, UNLABELLED})
    if trained and TEST not in others:
        where = f"there is {', '.join(others)} (--test-split)" if others else "--splits FILE.csv gives another split"
        notes.append(f"no image is in the split {TEST!r}, on which adapters are evaluated: {where}")
    return tuple(notes)


def _copies(hashes: Sequence[str]) -> set[str]:
    """Contents that more than one file has."""
    # The usual case, without counting a million hashes.
    if len(set(hashes)) == len(hashes):
        return set()
    return {
        content for content, n in Counter(hashes).items() if n > 1 and content != UNREADABLE
    }  # files that nobody could read are not alike


def _known_id(root: Path, name: str, known: Collection[str]) -> str:
    """The id that a path stands for; as another system would write it where it is none as it stands."""
    found = relative_id(root, name)
    if found in known:
        return found
    others = (relative_id(root, other) for other in other_spellings(name))
    return next((other for other in others if other in known), found)
