"""CSV and Parquet files with a row per image: `path[,label][,split]`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath

from udta._console.terminal import first_few
from udta._files.names import UNLABELLED, other_spellings
from udta._files.table_file import TABLE_SUFFIXES, read_columns, whole_numbers
from udta.errors import DataError
from udta.images._formats import has_image_suffix, why_no_image
from udta.images._listing import Listing, Reader, relative_id


class ImageTables(Reader):
    """Tables `path[,label][,split]`, in CSV or Parquet."""

    takes = "a .csv or .parquet file"

    def accepts(self, images: str) -> bool:
        """By its name, whether it is there or not: one that is missing is no image that is missing."""
        path = Path(images)
        return path.suffix.lower() in TABLE_SUFFIXES and not path.is_dir()

    def read(self, images: str, *, missing: bool) -> Listing:
        """The images that a table names, in its order; paths are relative to the folder that the table is in.

        An empty label is an unknown class, as is that of every image where there is no such column; other columns than these
        are ignored. A path that is not there is looked for as Windows or macOS would write it.

        Args:
            images: path of the table.
            missing: keep rows whose file is not there, as long as one is: they become images that cannot be read.

        Raises:
            DataError: a missing column, no rows, rows without a path or split, files that do not exist or are no images.
            ConfigError: pyarrow is needed and not installed.
        """
        path = Path(images)
        columns = read_columns(path, required=("path",), optional=("label", "split"))
        ids = ids_of_paths(path, columns["path"], missing=missing)
        return Listing(path.parent, ids, *labels_and_splits(path, columns, len(ids)))

    def read_unlabelled(self, images: str, *, missing: bool) -> Listing:
        """The images of the column `path`, each once; no other column is needed. Arguments and errors are those of `read`."""
        path = Path(images)
        names = read_columns(path, required=("path",))["path"]
        return Listing.unlabelled(path.parent, dict.fromkeys(ids_of_paths(path, names, missing=missing)))


def labels_and_splits(
    path: Path, columns: Mapping[str, list[str]], n: int
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The class name and the split of every row, from the columns that a table has; raises `DataError` for half of them.

    Args:
        path: of the table, for errors.
        columns: `label` and `split`, if they are there.
        n: how many rows.
    """
    labels = whole_numbers(columns.get("label", [""] * n))
    if "split" not in columns:
        return tuple(labels), None
    # An unlabelled image needs no split: it is for nobody to train or to test on.
    splits = [split or ("" if label else UNLABELLED) for split, label in zip(columns["split"], labels, strict=True)]
    _refuse(path, "have a label but no split", [_line(row) for row, split in enumerate(splits) if not split])
    return tuple(labels), tuple(splits)


def ids_of_paths(path: Path, names: Sequence[str], *, missing: bool) -> tuple[str, ...]:
    """The id of every image that the rows of a file at `path` name.

    Args:
        path: of the table or list.
        names: paths of images, absolute or relative to the folder that it is in.
        missing: keep those of files that are not there, as long as one is.

    Raises:
        DataError: rows without a path, files that do not exist, or that are no images.
    """
    root = path.parent
    _refuse(path, "have no path", [_line(row) for row, name in enumerate(names) if not name])
    ids = [_existing(root, name) for name in names]
    absent = [name for name in ids if not _is_there(root, name)]
    # A table of which nothing is there is no table with bad images: its paths are relative to something else.
    if not missing or len(absent) == len(ids):
        _refuse(path, "do not exist", absent, _cause(root, absent))
    gone = set(absent)
    # Opened only where the extension says nothing.
    others = (name for name in ids if not has_image_suffix(name) and name not in gone)
    wrong = {name: reason for name in others if (reason := why_no_image(os.path.basename(name), f"{root}/{name}"))}  # noqa: PTH119
    _refuse(path, "are no images by their extension or content", [f"{name} ({wrong[name]})" for name in wrong])
    return tuple(ids)


def _existing(root: Path, name: str) -> str:
    """The id of a path in a table; as another system would write it where it is not there as it stands."""
    found = relative_id(root, name)
    if _is_there(root, found):
        return found
    # In this order, so that a name with a backslash in it, which Linux allows, is found as it is.
    others = (relative_id(root, other) for other in other_spellings(name))
    return next((other for other in others if _is_there(root, other)), found)


def _is_there(root: Path, name: str) -> bool:
    """Also a link to nothing and what is no regular file: why they cannot be read is said when they are."""
    return os.path.lexists(f"{root}/{name}")  # of a million rows: a `Path` of each takes seconds


def _cause(root: Path, absent: Sequence[str]) -> str:
    """Why files may be missing, as far as the first of them tells."""
    if not absent:
        return ""
    name = absent[0]
    if PureWindowsPath(name).drive:  # `C:` or a server's
        return "; these are paths of another computer, make them relative to the table"
    folder, _, file = f"{root}/{name}".rpartition("/")
    alike = [other for other in _names_in(folder) if other.casefold() == file.casefold()]
    if alike:
        return f"; there is {alike[0]}: capital letters count"
    return f"; paths are relative to {root.resolve()}"


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # names, not paths
    except OSError:
        return []


def _line(row: int) -> str:
    return f"row {row + 1}"  # 1 is the one below the header


def _refuse(path: Path, what: str, names: Iterable[str], cause: str = "") -> None:
    every = list(names)
    if every:
        raise DataError(f"{path}: {len(every)} of its rows {what}: {first_few(every)}{cause}")
