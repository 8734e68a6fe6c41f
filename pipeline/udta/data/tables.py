"""CSV and Parquet files with a row per image: `path,label[,split]`, and splits files: `path,split`."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from udta.data.listing import Listing, is_image_name, relative_id
from udta.data.manifest import UNLABELLED, first_few
from udta.errors import ConfigError, DataError, did_you_mean

TABLE_SUFFIXES = (".csv", ".parquet")
Columns = Mapping[str, list[str]]


def list_table(path: Path) -> Listing:
    """The images that a table names, in its order; paths are relative to the folder that the table is in.

    An empty label is an unknown class; other columns than `path`, `label` and `split` are ignored.

    Raises:
        DataError: a missing column, no rows, rows without a path or split, files that do not exist or are no images.
    """
    columns = read_columns(path, required=("path", "label"), optional=("split",))
    root, labels = path.parent, columns["label"]
    _refuse(path, "have no path", [_line(row) for row, name in enumerate(columns["path"]) if not name])
    ids = [relative_id(root, name) for name in columns["path"]]
    _refuse(path, "do not have the extension of an image", [name for name in ids if not is_image_name(name)])
    _refuse(path, "do not exist", [name for name in ids if not (root / name).is_file()])
    splits = columns.get("split")
    if splits is not None:
        splits = [split or ("" if label else UNLABELLED) for split, label in zip(splits, labels, strict=True)]
        _refuse(path, "have a label but no split", [_line(row) for row, split in enumerate(splits) if not split])
    return Listing(root, tuple(ids), tuple(labels), None if splits is None else tuple(splits))


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Columns:
    """The columns asked for, as text without surrounding white space, empty where a value is missing.

    Raises:
        DataError: the file cannot be read, has no rows, or lacks a column, or an optional one is nearly there.
    """
    columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    problems = []
    for name in (*required, *optional):
        others = [other for other in columns if other not in (*required, *optional)]
        near = difflib.get_close_matches(name, [other.lower() for other in others], cutoff=0.75)
        if name not in columns and (near or name in required):
            problems.append(f"{path} has no column {name!r}: {did_you_mean(name, others)}")
    if problems:
        wanted = ",".join((*required, *(f"[{name}]" for name in optional)))
        raise DataError("\n".join([*problems, f"its columns must be {wanted}"]))
    if not columns[required[0]]:
        raise DataError(f"{path} has no rows below its header")
    return {name: columns[name] for name in (*required, *optional) if name in columns}


def _read_csv(path: Path) -> Columns:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV file in UTF-8 ({error})") from error
    _refuse(
        path,
        f"do not have {len(header)} values as the header has",
        [f"line {line}" for line, row in rows if len(row) != len(header)],
    )
    return {name: [row[index].strip() for _, row in rows] for index, name in enumerate(header)}


def _read_parquet(path: Path) -> Columns:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(f"reading {path} needs pyarrow: pip install 'udta[parquet]', or write a .csv") from error
    try:
        table = pyarrow.parquet.read_table(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is no Parquet file ({error})") from error
    return {name: [_text(value) for value in table[name].to_pylist()] for name in table.column_names}


def _text(value: Any) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def _line(row: int) -> str:
    return f"row {row + 1}"


def _refuse(path: Path, what: str, names: Sequence[str]) -> None:
    if names:
        raise DataError(f"{path}: {len(names)} of its rows {what}: {first_few(names)}")
