"""From what a user calls IMAGES, a folder, a table, a built-in dataset or files, to a manifest."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from udta._console.terminal import first_few
from udta._files.table_file import TABLE_SUFFIXES
from udta.errors import DataError, ImageError
from udta.fingerprint import UNREADABLE
from udta.images._listing import Listing, class_order
from udta.images._splits import split_notes, splits_from_file, stratified_rule, stratified_splits
from udta.images.builtin import BUILTIN, list_builtin
from udta.images.manifest import UNLABELLED, Manifest, check_utf8
from udta.images.readers.folders import list_folder
from udta.images.readers.paths import list_paths
from udta.images.readers.tables import list_table
from udta.images.sample import hash_image_file

# What an image that cannot be used does: stop the work, or be left out with its reason on record.
OnError = Literal["fail", "skip"]

_LOG = logging.getLogger(__name__)

# Files handed to a thread at once: with one, handing them over takes longer than hashing a thumbnail.
_HASHED_TOGETHER = 64


def read_images(
    images: str | Path, *, splits: Path | None = None, seed: int = 0, on_error: OnError = "fail"
) -> Manifest:
    """The manifest of a data set: which images there are, of what class, in which split, with what content.

    Args:
        images: a folder with a sub-folder per class (rows are sorted by class, then path), or with `train`, `val` and `test`
            and those below (rows are sorted by split first); a flat folder of images without classes; a CSV/Parquet file
            `path,label[,split]` (rows are in its order); or `name:folder` of a built-in dataset (rows are in the order of its
            official lists). A folder or file that is there is never taken for a name.
        splits: a CSV `path,split`, paths relative to the images; it replaces a `split` column, split folders or an official
            split. Without any of them, a seeded stratified 70/30 rule decides.
        seed: of that rule.
        on_error: `fail` when a file cannot be read, or `skip`: it keeps its row, and reading it raises `ImageError`.

    Raises:
        ConfigError: there is no built-in dataset of this name, or a package that reads the files is not installed.
        DataError: images or splits that are missing, contradict each other, or cannot be read. What the image files hold is
            not looked at: a bad one keeps its row.
    """
    listing = _list(images, on_error)
    check_utf8(listing.root, (*listing.ids, *listing.labels))
    hashes = _hash_files(listing.root, listing.ids, on_error)
    split_names, rule = _split(listing, hashes, splits, seed)
    return _manifest(listing, hashes, split_names, rule, split_notes(listing.ids, listing.labels, hashes, split_names))


def read_unlabelled(images: str | Path | Sequence[str | Path], *, on_error: OnError = "fail") -> Manifest:
    """The manifest of images to predict: no classes, and any folders below folders.

    Args:
        images: a folder, an image file, a CSV/Parquet file with a column `path`, a `.txt` of one path a line, `name:folder` of a
            built-in dataset, or a list of such. Ids are relative to the folder or table where one is given, else as given.
        on_error: as in `read_images`.

    Raises:
        ConfigError, DataError: as `read_images`.
    """
    several = [images] if isinstance(images, str | Path) else list(images)
    if len(several) == 1 and not Path(several[0]).exists() and ":" in str(several[0]):
        listing = list_builtin(str(several[0]))
    else:
        listing = list_paths([Path(path) for path in several], missing=on_error == "skip")
    check_utf8(listing.root, listing.ids)
    unknown = ("",) * len(listing.ids)
    bare = Listing(listing.root, listing.ids, unknown, left_out=listing.left_out, notes=listing.notes)
    hashes = _hash_files(listing.root, listing.ids, on_error)
    return _manifest(bare, hashes, (UNLABELLED,) * len(hashes), UNLABELLED, ())


def _manifest(
    listing: Listing, hashes: tuple[str, ...], splits: tuple[str, ...], rule: str, notes: tuple[str, ...]
) -> Manifest:
    classes = class_order(set(listing.labels) - {""})
    index = {"": -1, **{name: number for number, name in enumerate(classes)}}
    manifest = Manifest(
        root=listing.root,
        classes=tuple(classes),
        ids=listing.ids,
        labels=np.array([index[name] for name in listing.labels], dtype=np.int64),
        splits=splits,
        hashes=hashes,
        split_rule=rule,
        left_out=listing.left_out,
        notes=(*listing.notes, *notes),
    )
    for line in manifest.summary():
        _LOG.info("%s", line)
    for note in manifest.notes:
        _LOG.warning("note: %s", note)
    return manifest


def _list(images: str | Path, on_error: OnError) -> Listing:
    """What `images` names; what is there on the disk comes first, so that a path may have a colon."""
    path = Path(images)
    if path.is_dir():
        return list_folder(path)
    if path.exists():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return list_table(path, missing=on_error == "skip")
        raise DataError(
            f"{path} is neither a folder nor a .csv or .parquet file (single images are for `udta predict`)"
        )
    if ":" in str(images):
        return list_builtin(str(images))
    raise DataError(
        f"there is no folder or file {str(images)!r}; give a folder of images, a .csv or .parquet, or name:folder of a "
        f"built-in dataset ({', '.join(BUILTIN)})"
    )


def _split(listing: Listing, hashes: Sequence[str], file: Path | None, seed: int) -> tuple[tuple[str, ...], str]:
    """The split of every row, and the rule it came from."""
    if file is not None:
        return splits_from_file(file, listing.root, listing.ids), "file"
    if listing.splits is not None:
        return listing.splits, listing.split_rule
    rule = stratified_rule(seed) if any(listing.labels) else UNLABELLED
    return stratified_splits(listing.ids, listing.labels, hashes, seed), rule


def _hash_files(root: Path, ids: Sequence[str], on_error: OnError) -> tuple[str, ...]:
    """SHA-256 of every file, in threads (hashlib lets go of the interpreter lock); `UNREADABLE` where there is none."""
    groups = [ids[start : start + _HASHED_TOGETHER] for start in range(0, len(ids), _HASHED_TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="udta-hash") as pool:
        found = [
            one for group in pool.map(lambda group: [_hash(root, name) for name in group], groups) for one in group
        ]
    unreadable = [error for error in found if isinstance(error, ImageError)]
    if unreadable and (on_error == "fail" or len(unreadable) == len(found)):
        raise DataError(
            f"{root}: {len(unreadable)} image(s) cannot be used: "
            + first_few(f"{error.path} {error.reason}" for error in unreadable)
        )
    return tuple(UNREADABLE if isinstance(one, ImageError) else one for one in found)


def _hash(root: Path, name: str) -> str | ImageError:
    """Or why the file cannot be read, so that all of those are reported together."""
    try:
        return hash_image_file(f"{root}/{name}" if name[0] != "/" else name, name)
    except ImageError as error:
        return error
