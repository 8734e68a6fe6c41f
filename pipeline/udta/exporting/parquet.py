"""Parquet: one row a sample; every tap and view is a column of fixed-size lists, its shape in the field's metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from udta.errors import ConfigError
from udta.exporting.selection import Selection

FILE = "features.parquet"


def write_parquet(folder: Path, selection: Selection, progress: Callable[[int, int], None]) -> None:
    """One row group for each chunk that is read.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("exporting to Parquet needs pyarrow: pip install 'udta[parquet]'") from error
    schema = _schema(pyarrow, selection)
    with pyarrow.parquet.ParquetWriter(folder / FILE, schema, compression="none", use_dictionary=False) as writer:
        for part, features in selection.chunks(selection.taps):
            columns = _index_columns(pyarrow, selection, part)
            for tap in selection.taps:
                values = features[tap.name]
                for position in range(values.shape[1]):
                    flat = pyarrow.array(np.ascontiguousarray(values[:, position]).reshape(-1))
                    columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, int(np.prod(tap.shape))))
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            progress(part.stop, len(selection))


def _schema(pyarrow: Any, selection: Selection) -> Any:
    text = pyarrow.string()
    fields = [
        pyarrow.field("row", pyarrow.int64()),
        pyarrow.field("id", text),
        pyarrow.field("label", pyarrow.int64()),
        pyarrow.field("class", text),
        pyarrow.field("split", text),
    ]
    for tap in selection.taps:
        item = {"float16": pyarrow.float16(), "float32": pyarrow.float32()}[tap.dtype]
        kind = pyarrow.list_(item, int(np.prod(tap.shape)))
        metadata = {"shape": str(list(tap.shape)), "reducer": tap.reducer}
        fields += [
            pyarrow.field(tap.name if len(selection.views) == 1 else f"{tap.name}@{view}", kind, metadata=metadata)
            for view in selection.views
        ]
    return pyarrow.schema(fields)


def _index_columns(pyarrow: Any, selection: Selection, part: slice) -> list[Any]:
    store, rows = selection.store, selection.rows[part]
    labels = store.labels[rows]
    return [
        pyarrow.array(rows),
        pyarrow.array(store.ids[rows].tolist(), pyarrow.string()),
        pyarrow.array(labels),
        pyarrow.array([store.classes[label] if label >= 0 else None for label in labels.tolist()], pyarrow.string()),
        pyarrow.array(store.splits[rows].tolist(), pyarrow.string()),
    ]
