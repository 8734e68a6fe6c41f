"""From what a user calls IMAGES, a folder, a table or a built-in dataset, to a manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from udta.data.builtin import BUILTIN, list_builtin
from udta.data.folders import list_folder
from udta.data.listing import Listing
from udta.data.manifest import UNLABELLED, Manifest, first_few
from udta.data.splits import splits_from_file, stratified_rule, stratified_splits
from udta.data.tables import TABLE_SUFFIXES, list_table
from udta.errors import DataError

# Files handed to a thread at once: with one, handing them over takes longer than hashing a thumbnail.
_HASHED_TOGETHER = 64


def read_images(images: str | Path, *, splits: Path | None = None, seed: int = 0) -> Manifest:
    """The manifest of a data set: which images there are, of what class, in which split, with what content.

    Args:
        images: a folder with a sub-folder per class (rows are sorted by class, then path), a flat folder of images without
            classes, a CSV/Parquet file `path,label[,split]` (rows are in its order), or `name:folder` of a built-in dataset
            (rows are in the order of its official lists). A folder or file that is there is never taken for a name.
        splits: a CSV `path,split`, paths relative to the images; it replaces a `split` column or an official split. Without
            any of them, a seeded stratified 70/30 rule decides.
        seed: of that rule.

    Raises:
        ConfigError: there is no built-in dataset of this name, or a package that reads the files is not installed.
        DataError: images or splits that are missing, contradict each other, or cannot be read. What the image files hold is
            not looked at: a bad one keeps its row.
    """
    listing = _list(images)
    split_names, rule = _split(listing, splits, seed)
    classes = tuple(sorted(set(listing.labels) - {""}))
    index = {"": -1, **{name: number for number, name in enumerate(classes)}}
    return Manifest(
        root=listing.root,
        classes=classes,
        ids=listing.ids,
        labels=np.array([index[name] for name in listing.labels], dtype=np.int64),
        splits=split_names,
        hashes=_hash_files(listing.root, listing.ids),
        split_rule=rule,
    )


def _list(images: str | Path) -> Listing:
    """What `images` names; what is there on the disk comes first, so that a path may have a colon."""
    path = Path(images)
    if path.is_dir():
        return list_folder(path)
    if path.exists():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return list_table(path)
        raise DataError(f"{path} is neither a folder nor a .csv or .parquet file")
    if ":" in str(images):
        return list_builtin(str(images))
    raise DataError(
        f"there is no folder or file {str(images)!r}; give a folder of images, a .csv or .parquet, or name:folder of a "
        f"built-in dataset ({', '.join(BUILTIN)})"
    )


def _split(listing: Listing, file: Path | None, seed: int) -> tuple[tuple[str, ...], str]:
    """The split of every row, and the rule it came from."""
    if file is not None:
        return splits_from_file(file, listing.root, listing.ids), "file"
    if listing.splits is not None:
        return listing.splits, listing.split_rule
    rule = stratified_rule(seed) if any(listing.labels) else UNLABELLED
    return stratified_splits(listing.ids, listing.labels, seed), rule


def _hash_files(root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """SHA-256 of every file, in threads (hashlib lets go of the interpreter lock)."""
    groups = [ids[start : start + _HASHED_TOGETHER] for start in range(0, len(ids), _HASHED_TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="udta-hash") as pool:
        hashes = [
            one for group in pool.map(lambda group: [_hash(root / name) for name in group], groups) for one in group
        ]
    unreadable = [name for name, one in zip(ids, hashes, strict=True) if not one]
    if unreadable:
        raise DataError(f"{root}: {len(unreadable)} image(s) cannot be read: {first_few(unreadable)}")
    return tuple(hashes)


def _hash(path: Path) -> str:
    """Empty when the file cannot be read, so that all of those are reported together."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
