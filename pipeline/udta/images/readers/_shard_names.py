"""How many files are named at once: one file, a folder that holds them, `shard-{000..099}.tar`, or a wildcard."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterator

from udta._console.terminal import first_few
from udta.errors import DataError
from udta.images._formats import has_image_suffix, is_ignored

# A range as bash and WebDataset write it: with a leading zero, all its numbers are as long as the longer end.
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
# A store remembers what was named, and a store may be anybody's file.
_MOST_SHARDS = 1_000_000


def names_shards(images: str, suffix: str) -> bool:
    """Whether these are files with this suffix, of lower case: by the name, and of a folder by what lies in it."""
    return _holds_only(images, suffix) if os.path.isdir(images) else images.lower().endswith(suffix)  # noqa: PTH112


def are_there(images: str) -> bool:
    """Whether the file or folder is there; of a pattern, what is missing is said by `shard_paths`."""
    return os.path.exists(images) or _is_pattern(images)  # noqa: PTH110  # a pattern is no path


def shard_paths(images: str, suffix: str) -> list[str]:
    """The files, in the order of numbers in braces, of anything else in that of their names.

    Args:
        images: a file, a folder, or a pattern with braces, wildcards or both.
        suffix: of lower case; in a folder, other files are passed over.

    Raises:
        DataError: a file of a range is not there, a wildcard matches none, or there are more than a million.
    """
    if os.path.isdir(images):  # noqa: PTH112
        return sorted(entry.path for entry in os.scandir(images) if _is_shard(entry.name, suffix))
    if os.path.exists(images):  # noqa: PTH110  # a file may have braces in its name
        return [images]
    # Counted before the first one is looked for.
    if _n_names(images) > _MOST_SHARDS:
        raise DataError(f"{images} stands for more than {_MOST_SHARDS:,} files")
    found: list[str] = []
    missing: list[str] = []
    for name in _expanded(images):
        matched = sorted(glob.glob(name)) if glob.has_magic(name) else [name] * os.path.exists(name)  # noqa: PTH207, PTH110
        found += matched
        missing += [] if matched else [name]
    if missing:
        raise DataError(f"{images}: {len(missing)} of its files are not there: {first_few(missing)}")
    return found


def _is_pattern(images: str) -> bool:
    return glob.has_magic(images) or _RANGE.search(images) is not None


def _n_names(pattern: str) -> int:
    return math.prod(max(0, int(last) - int(first) + 1) for first, last in _RANGE.findall(pattern))


def _expanded(pattern: str) -> Iterator[str]:
    found = _RANGE.search(pattern)
    if found is None:
        yield pattern
        return
    first, last = found.groups()
    width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
    for number in range(int(first), int(last) + 1):
        yield from (f"{pattern[: found.start()]}{number:0{width}}{rest}" for rest in _expanded(pattern[found.end() :]))


def _holds_only(folder: str, suffix: str) -> bool:
    """Whether files with this suffix lie in it, and neither folders nor images: a class folder may hold an archive too."""
    there = False
    with os.scandir(folder) as entries:
        for entry in entries:
            # At the first of a million images.
            if not is_ignored(entry.name) and (has_image_suffix(entry.name) or entry.is_dir()):
                return False
            there = there or _is_shard(entry.name, suffix)
    return there


def _is_shard(name: str, suffix: str) -> bool:
    return name.lower().endswith(suffix) and not is_ignored(name)
