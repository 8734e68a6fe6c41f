"""Whether images may have changed since they were last looked at, seen without reading them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from udta.images.readers import find_reader, refusal, shard_paths


@dataclass(frozen=True)
class ImagesState:
    """`n` images, or files that images are packed in; another `digest` where any of them is new, gone or written to."""

    n: int
    digest: str


def images_state(images: str) -> ImagesState:
    """Names, classes and splits, and size and time of change of every file: what `make` and DVC's own state go by.

    Args:
        images: as of `read_images`. Of a dataset on a hub the name is all that is looked at, and `n` is 0.

    Raises:
        ConfigError: there is no built-in dataset of this name, or a package that reads the files is not installed.
        DataError: there is nothing of this name, or images contradict each other.
    """
    found = list(_entries(images))
    digest = hashlib.sha256(images.encode(errors="surrogateescape"))
    for entry in found:
        digest.update(json.dumps(entry).encode())
    return ImagesState(len(found), digest.hexdigest())


def _entries(images: str) -> Iterator[list[object]]:
    reader = find_reader(images)
    if reader is None or not reader.is_there(images):
        raise refusal(images)
    if reader.packs:
        # What is in an archive changes with it, and listing that would read it.
        paths = [] if reader.by_name else _packed_files(images)
        yield from ([path, *_file(path)] for path in paths)
        return
    # Not found is for who reads them to say: here it is one more state.
    listing = reader.read(images, missing=True)
    splits = listing.splits or [""] * len(listing.ids)
    for name, label, split in zip(listing.ids, listing.labels, splits, strict=True):
        yield [name, label, split, *_file(os.path.join(listing.root, name))]  # noqa: PTH118  # of a million names


def _packed_files(images: str) -> list[str]:
    if Path(images).is_dir():
        return sorted(str(path) for path in Path(images).rglob("*") if path.is_file())
    return shard_paths(images, "")


def _file(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116  # of a million names
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)
