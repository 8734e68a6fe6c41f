"""Images to predict, named in any way: files, folders at any depth, tables and lists of paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from udta._console.terminal import first_few
from udta._files.table_file import TABLE_SUFFIXES
from udta.errors import DataError
from udta.images._listing import Listing
from udta.images.readers.folders import list_files
from udta.images.readers.tables import list_paths_of

_LIST_SUFFIX = ".txt"


def list_paths(paths: Sequence[Path], *, missing: bool = False) -> Listing:
    """The images that are named, or lie in what is named, in this order and each once; they have no classes.

    Args:
        paths: a folder, an image file (whatever its extension), a table with a column `path`, or a `.txt` of one path a line.
            Paths in a table are relative to it, those in a `.txt` to it too.
        missing: keep files that are not there, as images that cannot be read.

    Raises:
        DataError: nothing is named, something is not there, or a folder has no images.
    """
    if not paths:
        raise DataError("no image is named: give a file, a folder, or a table of paths")
    absent = [str(path) for path in paths if not path.exists() and not path.is_symlink()]
    if absent and (not missing or len(absent) == len(paths)):
        raise DataError(f"{len(absent)} of what was named is not there: {first_few(absent)}")
    if len(paths) == 1 and not _is_image(paths[0]):
        root, ids, left_out = _in(paths[0], missing)
        return Listing(root, ids, ("",) * len(ids), left_out=left_out)
    every: dict[str, None] = {}
    left_out = Counter[str]()
    for path in paths:
        if _is_image(path):
            every[path.as_posix()] = None
            continue
        root, ids, others = _in(path, missing)
        every |= dict.fromkeys((root / name).as_posix() for name in ids)
        left_out.update(others)
    return Listing(Path(), tuple(every), ("",) * len(every), left_out=dict(left_out))


def _is_image(path: Path) -> bool:
    """Whether it is taken as an image: any file but a table or a list."""
    return not path.is_dir() and path.suffix.lower() not in (*TABLE_SUFFIXES, _LIST_SUFFIX)


def _in(path: Path, missing: bool) -> tuple[Path, tuple[str, ...], dict[str, int]]:
    """Root, ids relative to it, and what was left out of a folder, a table or a list."""
    if path.is_dir():
        ids, left_out = list_files(path)
        if not ids:
            raise DataError(f"{path} has no images")
        return path, ids, dict(left_out)
    names = list(_lines(path)) if path.suffix.lower() == _LIST_SUFFIX else None
    if names == []:
        raise DataError(f"{path} names no image")
    return path.parent, list_paths_of(path, names, missing=missing), {}


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no list of paths in UTF-8 ({error})") from error
    yield from (line.strip() for line in text.splitlines() if line.strip())
