"""Parquet files that hold the images themselves: a column of bytes, or of the struct `{bytes, path}` that `datasets` writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from udta._console.terminal import first_few
from udta._files.paths import opened_regular
from udta._files.table_file import read_table, texts
from udta.errors import DataError
from udta.images._listing import Listing, Reader, packed_ids
from udta.images.readers._parquet_cells import ParquetCells
from udta.images.readers._shard_names import are_there, names_shards, shard_paths
from udta.images.readers.image_tables import labels_and_splits

_SUFFIX = ".parquet"
# What a column of bytes beside others, such as thumbnails or hashes, is called where it has the images.
_USUAL = ("image", "img", "image_bytes", "bytes")


class ParquetImages(Reader):
    """A `.parquet` with a column of images, a folder of them, `train-{00000..00007}.parquet` or a wildcard."""

    takes = "Parquet files with image bytes"
    packs = True

    def accepts(self, images: str) -> bool:
        """A single file is looked into: without images it may be a table of paths, or of anything else."""
        if not names_shards(images, _SUFFIX):
            return False
        try:
            return not os.path.isfile(images) or len(_with_images(_schema(images))) > 0  # noqa: PTH113
        except (ImportError, DataError):  # who takes it for a table of paths says so
            return False

    def is_there(self, images: str) -> bool:
        """A pattern is."""
        return are_there(images)

    def read(self, images: str, *, missing: bool) -> Listing:
        """One image a row, in the order of files and rows.

        Class and split are in the columns `label` and `split`, if they are there; other columns are ignored. An id is what the
        column `path` says, else the `path` in the struct, where those tell every image from every other; else the row's number.

        Args:
            images: a file, a folder or a pattern.
            missing: makes no difference: what is not in a table is not missing.

        Raises:
            DataError: a file is not there or damaged, none or several of its columns have images, or it has no row.
            ConfigError: pyarrow is not installed.
        """
        paths = shard_paths(images, _SUFFIX)
        columns = _columns(paths)  # first, since it says where pyarrow is missing
        column, *others = dict.fromkeys(_image_column(path, _schema(path)) for path in paths)
        if others:
            raise DataError(f"{images}: in some of its files images are {column!r}, in others {others[0]!r}")
        groups = [
            (file, number, size) for file, path in enumerate(paths) for number, size in enumerate(_group_sizes(path))
        ]
        starts = np.array([0, *accumulate(size for *_, size in groups)], dtype=np.int64)
        n_rows = int(starts[-1])
        if not n_rows:
            raise DataError(f"{images} has no rows")
        ids, notes = packed_ids(n_rows, columns.pop("path", ()), _struct_paths(paths, column))
        cells = ParquetCells(
            os.path.abspath(images),  # noqa: PTH100
            column,
            tuple(os.path.abspath(path) for path in paths),  # noqa: PTH100
            tuple((file, number) for file, number, _ in groups),
            starts,
        )
        return Listing(Path(images), ids, *labels_and_splits(Path(images), columns, n_rows), notes=notes, packed=cells)


def _columns(paths: Sequence[str]) -> dict[str, list[str]]:
    """`path`, `label` and `split` of all files, as far as they are there."""
    found: dict[str, list[str]] = {}
    for path in paths:
        columns = read_table(Path(path), lambda names: [name for name in ("path", "label", "split") if name in names])
        if found and found.keys() != columns.keys():
            raise DataError(f"{path} has the columns {', '.join(columns)}, the files before it {', '.join(found)}")
        names = _class_names(path)
        for name, values in columns.items():
            if name == "label" and names:
                values = [names.get(value, "") for value in values]
            found.setdefault(name, []).extend(texts(values))
    return found


def _class_names(path: str) -> Mapping[Any, str]:
    """Names of numbered classes, where `datasets` has left them in the file's metadata; -1 is no class."""
    try:
        features = json.loads((_schema(path).metadata or {})[b"huggingface"])["info"]["features"]["label"]["names"]
        return dict(enumerate(map(str, features)))
    except (KeyError, TypeError, ValueError, RecursionError):  # others write no such thing, or anything
        return {}


def _with_images(schema: Any) -> list[str]:
    """Columns that may have images: of the struct with bytes, else of bytes."""
    from pyarrow import types

    def has_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    structs = [
        field.name for field in schema if types.is_struct(field.type) and _has_field(field.type, "bytes", has_bytes)
    ]
    flat = [field.name for field in schema if has_bytes(field.type)]
    # Of a table of paths with bytes of whatever kind, a name has to say what they are.
    return structs or [name for name in flat if name in _USUAL] or ([] if "path" in schema.names else flat)


def _has_field(struct: Any, name: str, fits: Any) -> bool:
    number = struct.get_field_index(name)
    return number >= 0 and bool(fits(struct.field(number).type))


def _image_column(path: str, schema: Any) -> str:
    """The path of the one column of bytes with images; raises `DataError` where there is none, or several."""
    from pyarrow import types

    found = _with_images(schema)
    if len(found) != 1:
        what = f"several columns of images: {first_few(found)}" if found else "no column of images"
        raise DataError(f"{path} has {what}; it needs one of bytes, or of structs with `bytes`, called `image`")
    return f"{found[0]}.bytes" if types.is_struct(schema.field(found[0]).type) else found[0]


def _struct_paths(paths: Sequence[str], column: str) -> list[str]:
    """`path` beside the bytes of every row; empty where there is none."""
    import pyarrow.parquet
    from pyarrow import types

    struct = column.removesuffix(".bytes")
    found: list[str] = []
    for path in paths:
        schema = _schema(path)
        if struct == column or not _has_field(schema.field(struct).type, "path", types.is_string):
            return []
        with opened_regular(path) as file:
            table = pyarrow.parquet.ParquetFile(file).read([f"{struct}.path"])
        found += [(value or {}).get("path") or "" for value in table.column(0).to_pylist()]
    return found


def _schema(path: str) -> Any:
    return _footer(path).schema.to_arrow_schema()


def _group_sizes(path: str) -> list[int]:
    footer = _footer(path)
    return [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]


def _footer(path: str) -> Any:
    """Raises `DataError`: it cannot be read, or is no Parquet file."""
    import pyarrow
    import pyarrow.parquet

    try:
        with opened_regular(path) as file:
            return pyarrow.parquet.read_metadata(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read, or is no Parquet file ({error})") from error
