"""Writing small files so that they are there whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PosixPath
from typing import Any

from udta._files.atomic import new_file
from udta._files.urls import is_url
from udta.errors import ConfigError

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def local_path(what: str, path: str | Path) -> Path:
    """A place that can be written to; `what` names the argument.

    Raises:
        ConfigError: it is a URL: it would become a local folder called `s3:`.
    """
    if is_url(path):
        raise ConfigError(
            f"{what} is {str(path)!r}, a URL: only local paths can be written to; write to one and copy it there afterwards"
        )
    return Path(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write under a temporary name beside `path`, flush to the disk, rename. Missing parent directories are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """The same for text, UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, document: Any) -> None:
    """The same for JSON, indented for people."""
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def read_regular(path: Path) -> bytes:
    """What a regular file holds; a path-like object behind a URL is asked for its bytes.

    Raises:
        OSError: there is none, or it is no regular file: reading a pipe would wait for ever, a device for its end.
    """
    if not isinstance(path, PosixPath):
        return path.read_bytes()
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    # What it is may have changed since: opening a pipe does not wait either.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def check_table_name(what: str, path: Path) -> None:
    """Raises `ConfigError` when `write_table` cannot tell from the name what to write; `what` names the argument."""
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"{what} is {str(path)!r}: its name must end in .csv or .parquet")


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file for people: with a quote before a text that a spreadsheet would run as a formula.

    Names of files and classes come from anywhere; `=HYPERLINK(...)` is one. A text that is a number, such as `-1.5`, stays.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """The same for a table, given as columns of equal length.

    In CSV numbers have six decimals, None is empty, and `csv_cell` keeps names from being formulas.

    Raises:
        ConfigError: the name ends in neither .csv nor .parquet, or pyarrow is wanted and not installed.
    """
    check_table_name("table", path)
    if path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(csv_cell, columns))
        writer.writerows(
            [f"{value:.6f}" if isinstance(value, float) else csv_cell(value) for value in row]
            for row in zip(*columns.values(), strict=True)
        )
        write_text(path, text.getvalue())
        return
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("writing .parquet needs pyarrow: pip install 'udta[parquet]', or write .csv") from error
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: list(values) for name, values in columns.items()}), content)
    write_bytes(path, content.getvalue())
