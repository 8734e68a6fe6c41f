"""CSV and Parquet both ways: tables for people are written, tables of people are read, also as JSON lines."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from udta._console.terminal import first_few
from udta._files.atomic import write_bytes, write_text
from udta.errors import ConfigError, DataError, did_you_mean

TABLE_SUFFIXES = (".csv", ".parquet")
JSON_LINES = (".jsonl", ".ndjson")
# Which of the columns there are a reader wants: a table may hold the bytes of images beside their labels.
Chosen = Callable[[list[str]], Sequence[str]]

_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)

# What makes a formula of a cell: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def check_table_name(what: str, path: Path) -> None:
    """Raises `ConfigError` when `write_table` cannot tell from the name what to write; `what` names the argument."""
    if path.suffix not in TABLE_SUFFIXES:
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
    """Write a table, given as columns of equal length, whole or not at all.

    In CSV numbers have six decimals, None is empty, and `csv_cell` keeps names from being formulas.

    Raises:
        ConfigError: the name ends in neither .csv nor .parquet, or pyarrow is wanted and not installed.
        OSError: it cannot be written.
    """
    check_table_name("table", path)
    if path.suffix == ".csv":
        write_text(path, csv_text([list(columns)]) + csv_text(zip(*columns.values(), strict=True)))
        return
    pyarrow = needed_pyarrow()
    content = io.BytesIO()  # first in memory: pyarrow writes to a path of its own, which a kill would leave half
    pyarrow.parquet.write_table(pyarrow.table({name: list(values) for name, values in columns.items()}), content)
    write_bytes(path, content.getvalue())


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as lines of a CSV file for people, see `write_table`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"{value:.6f}" if isinstance(value, float) else csv_cell(value) for value in row] for row in rows
    )
    return text.getvalue()


def needed_pyarrow() -> Any:
    """The package, for a file that shall be written. Raises `ConfigError` where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("writing .parquet needs pyarrow: pip install 'udta[parquet]', or write .csv") from error
    return pyarrow


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[str]]:
    """The columns asked for, as text without surrounding white space, empty where a value is missing.

    Args:
        path: as `read_table` has it.
        required: columns that it must have.
        optional: columns that it may have.

    Raises:
        DataError: the file cannot be read, has no rows, or lacks a column, or an optional one is nearly there.
        ConfigError: pyarrow is wanted and not installed.
    """
    there: list[str] = []

    def choose(names: list[str]) -> list[str]:
        there.extend(names)
        return [name for name in (*required, *optional) if name in names]

    columns, problems = read_table(path, choose), []
    for name in (*required, *optional):
        others = [other for other in there if other not in (*required, *optional)]
        # `Split` or `splits` is a slip: taking it for a column of somebody else's would split the images by our own rule.
        near = difflib.get_close_matches(name, [other.lower() for other in others], cutoff=0.75)
        if name not in there and (near or name in required):
            problems.append(f"{path} has no column {name!r}: {did_you_mean(name, others)}")
    if problems:
        wanted = ",".join((*required, *(f"[{name}]" for name in optional)))
        raise DataError("\n".join([*problems, f"its columns must be {wanted}"]))
    if not columns[required[0]]:
        raise DataError(f"{path} has no rows below its header")
    return {name: texts(values) for name, values in columns.items()}


def read_table(path: Path, choose: Chosen) -> dict[str, list[Any]]:
    """Columns by name: texts without surrounding white space out of CSV, else values as the file has them, None where missing.

    Args:
        path: of a `.parquet`, `.jsonl` or `.ndjson` file; one of any other name is read as CSV in UTF-8.
        choose: is given the names of all columns and says which are read.

    Raises:
        DataError: the file cannot be read.
        ConfigError: pyarrow is wanted and not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path, choose)
    columns = _read_json_lines(path) if suffix in JSON_LINES else _read_csv(path)
    return {name: columns[name] for name in choose(list(columns))}


def texts(values: Sequence[Any]) -> list[str]:
    """Cells as text without surrounding white space, empty where a value is missing."""
    given = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    # pandas makes floats of whole numbers where one is missing: class 1 shall not be called `1.0`.
    if all(value is None or (isinstance(value, float) and value.is_integer()) for value in given):
        given = [None if value is None else int(value) for value in given]
    return ["" if value is None else str(value).strip() for value in given]


def whole_numbers(labels: list[str]) -> list[str]:
    """`1` for `1.0` where all labels of a CSV are like that and one is missing: pandas made floats of whole numbers."""
    given = [label for label in labels if label]
    # Where none is missing, `1.0` was meant: perhaps it is a version.
    if len(given) == len(labels) or not all(_FLOAT.fullmatch(label) for label in given):
        return labels
    return [label.removesuffix(".0") for label in labels]


def _read_csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel writes a byte order mark
            # Strict: a quote that is never closed would otherwise make one cell of the rest of the file.
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV file in UTF-8 ({error})") from error
    if twice := [name for name, times in Counter(header).items() if times > 1 and name]:
        raise DataError(f"{path}: several of its columns are called {twice[0]!r}")
    wrong = [f"line {line}" for line, row in rows if len(row) != len(header)]
    if wrong:
        raise DataError(
            f"{path}: {len(wrong)} of its rows do not have {len(header)} values as the header has: {first_few(wrong)}"
        )
    return {name: [row[index].strip() for _, row in rows] for index, name in enumerate(header)}


def _read_json_lines(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            rows = [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no file of JSON lines in UTF-8 ({error})") from error
    if any(not isinstance(row, dict) for row in rows):
        raise DataError(
            f'{path} is no file of JSON lines: each has to be an object, such as {{"path": ..., "label": ...}}'
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path, choose: Chosen) -> dict[str, list[Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(f"reading {path} needs pyarrow: pip install 'udta[parquet]', or write a .csv") from error
    try:
        names = choose(list(pyarrow.parquet.read_schema(path).names))
        table = pyarrow.parquet.read_table(path, columns=list(names))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is no Parquet file ({error})") from error
    return {name: table[name].to_pylist() for name in names}
