"""IMAGES, as a user names them, to a manifest: a reader lists them, their contents are hashed, a split is found."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from udta._console.terminal import first_few
from udta._files.names import UNLABELLED, class_order
from udta.errors import DataError, ImageError
from udta.fingerprint import UNREADABLE
from udta.images._contents import Chosen, Contents, Files
from udta.images._listing import Listing
from udta.images._manifest import Manifest, check_utf8
from udta.images._splits import split_notes, splits_from_file, stratified_rule, stratified_splits
from udta.images.readers import find_reader, refusal

# What an image that cannot be used does: stop the work, or be left out with its reason on record.
OnError = Literal["fail", "skip"]

_LOG = logging.getLogger(__name__)


def read_images(
    images: str | Path, *, splits: Path | None = None, seed: int = 0, on_error: OnError = "fail"
) -> Manifest:
    """The manifest of a data set: which images there are, of what class, in which split, with what content.

    Args:
        images: a folder with a sub-folder per class (rows are sorted by class, then path), or with `train`, `val` and `test`
            and those below (rows are sorted by split first); a flat folder of images without classes; a CSV/Parquet table
            `path[,label][,split]` or a `.txt` of paths (rows are in its order); shards, Parquet files or a dataset of Hugging
            Face with the images in them, see `readers`; or `name:folder` of a built-in dataset (rows are in the order of its
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
    # Names are looked at before any file is hashed, which of a large set takes minutes.
    listing = _list(str(images), missing=on_error == "skip")
    check_utf8(listing.root, (*listing.ids, *listing.labels))
    # The split needs the hashes: files with the same bytes go to one side.
    hashes = _hash(listing, on_error)
    split_names, rule = _split(listing, hashes, splits, seed)
    return _manifest(listing, hashes, split_names, rule, split_notes(listing.ids, listing.labels, hashes, split_names))


def read_unlabelled(images: str | Path | Sequence[str | Path], *, on_error: OnError = "fail") -> Manifest:
    """The manifest of images to predict: no classes, and any folders below folders.

    Args:
        images: a folder, an image file, a CSV/Parquet file with a column `path`, a `.txt` of one path a line, `name:folder` of a
            built-in dataset, or a list of paths. Ids are relative to the folder or table where one is given, else as given.
        on_error: `fail` when a file cannot be read, or `skip`: it keeps its row, and reading it raises `ImageError`.

    Raises:
        ConfigError: there is no built-in dataset of this name, or a package that reads the files is not installed.
        DataError: nothing is named, something is not there, has no images or cannot be read.
    """
    named = [images] if isinstance(images, str | Path) else list(images)
    listing = _list_unlabelled([str(one) for one in named], missing=on_error == "skip")
    check_utf8(listing.root, listing.ids)
    hashes = _hash(listing, on_error)
    return _manifest(listing, hashes, (UNLABELLED,) * len(hashes), UNLABELLED, ())


def load_manifest(path: Path) -> Manifest:
    """What `Manifest.save` wrote, with its images as they are found now.

    Raises:
        DataError: the file cannot be read, is damaged, or is no manifest; an archive or table that the images were in is so.
    """
    manifest = Manifest.load(path)
    return replace(manifest, packed=find_packed(str(manifest.root), manifest.ids))


def find_packed(images: str, ids: Sequence[str]) -> Contents | None:
    """Where images that were listed before lie in archives or tables; None where they are files.

    Args:
        images: what was named then.
        ids: of the images, in the order of the rows that are wanted. What is not there any more cannot be read.

    Raises:
        DataError, ConfigError: as `read_images`.
    """
    reader = find_reader(images)
    if reader is None or not reader.packs:
        return None
    listing = reader.read_unlabelled(images, missing=True)
    row_of = {name: row for row, name in enumerate(listing.ids)}
    rows = np.array([row_of.get(name, -1) for name in ids], dtype=np.int64)
    return Chosen((listing.contents,), np.zeros(len(rows), dtype=np.int64), rows)


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
        packed=listing.packed,
    )
    for line in manifest.summary():
        _LOG.info("%s", line)
    for note in manifest.notes:
        _LOG.warning("note: %s", note)
    return manifest


def _list(images: str, *, missing: bool) -> Listing:
    reader = find_reader(images)
    # Tables are known by their names: one that is not there is none.
    if reader is None or not reader.is_there(images):
        raise refusal(images)
    return reader.read(images, missing=missing)


def _list_unlabelled(named: Sequence[str], *, missing: bool) -> Listing:
    """The images that are named, or lie in what is named, in this order and each once. What no reader takes is an image.

    Raises:
        DataError: nothing is named, something is not there, or a folder has no images.
    """
    if not named:
        raise DataError("no image is named: give a file, a folder, or a table of paths")
    only = find_reader(named[0]) if len(named) == 1 else None
    if only and only.is_there(named[0]):
        return only.read_unlabelled(named[0], missing=missing)
    # `photo 12:30.jpg` that is missing looks like a name.
    readers = {one: find_reader(one, by_name=False) for one in named}
    # A link to nothing is there: why it cannot be read is said when it is.
    absent = [
        one for one, reader in readers.items() if not os.path.lexists(one) and not (reader and reader.is_there(one))
    ]
    if absent and (not missing or len(absent) == len(readers)):
        raise DataError(f"{len(absent)} of what was named is not there: {first_few(absent)}")
    return _joined(
        reader.read_unlabelled(one, missing=missing) if reader else Listing.unlabelled(Path(), [Path(one).as_posix()])
        for one, reader in readers.items()
    )


def _joined(listings: Iterable[Listing]) -> Listing:
    """Several as one without classes, each image once; ids are paths that lead to the files from here."""
    rows: dict[str, tuple[int, int]] = {}
    parts: list[Contents] = []
    left_out = Counter[str]()
    for listing in listings:
        # Files are found by their ids, whichever part they came with.
        part = len(parts)
        parts.append(listing.packed or Files(Path()))
        for row, name in enumerate(listing.ids):
            rows.setdefault((listing.root / name).as_posix(), (part, row))
        left_out.update(listing.left_out)
    packed = None
    if any(not isinstance(part, Files) for part in parts):
        part_and_row = np.array(list(rows.values()), dtype=np.int64)
        packed = Chosen(tuple(parts), part_and_row[:, 0], part_and_row[:, 1])
    return Listing.unlabelled(Path(), rows, dict(left_out), packed)


def _split(listing: Listing, hashes: Sequence[str], file: Path | None, seed: int) -> tuple[tuple[str, ...], str]:
    """The split of every row, and the rule it came from."""
    # What is said explicitly comes before what the images bring along, and that before a rule.
    if file is not None:
        return splits_from_file(file, listing.root, listing.ids), "file"
    if listing.splits is not None:
        return listing.splits, listing.split_rule
    rule = stratified_rule(seed) if any(listing.labels) else UNLABELLED
    return stratified_splits(listing.ids, listing.labels, hashes, seed), rule


def _hash(listing: Listing, on_error: OnError) -> tuple[str, ...]:
    """SHA-256 of every image; `UNREADABLE` where there is none."""
    found = listing.contents.hashes(range(len(listing.ids)), listing.ids)
    unreadable = [error for error in found if isinstance(error, ImageError)]
    # Where nothing at all can be read, it is no matter of bad images: a disk is gone, or a permission.
    if unreadable and (on_error == "fail" or len(unreadable) == len(found)):
        raise DataError(
            f"{listing.root}: {len(unreadable)} image(s) cannot be used: "
            + first_few(f"{error.path} {error.reason}" for error in unreadable)
        )
    return tuple(UNREADABLE if isinstance(one, ImageError) else one for one in found)
