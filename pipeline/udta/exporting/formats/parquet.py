"""Parquet: one row a sample; every tap and view is a column of fixed-size lists, its shape in the field's metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from udta.errors import ConfigError
from udta.exporting._selection import Selection
from udta.exporting.formats.format import INDEX, Format, Progress

_FILE = "features.parquet"


def _write(folder: Path, selection: Selection, progress: Progress) -> None:
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
    # Floats of a network hardly compress, and a dictionary of values that are all different is larger than they are.
    with pyarrow.parquet.ParquetWriter(folder / _FILE, schema, compression="none", use_dictionary=False) as writer:
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
    kinds = {"row": pyarrow.int64(), "label": pyarrow.int64()}
    fields = [pyarrow.field(name, kinds.get(name, pyarrow.string())) for name in INDEX]
    for tap in selection.taps:
        item = {"float16": pyarrow.float16(), "float32": pyarrow.float32()}[tap.dtype]
        # Of a fixed size: no offsets are stored, and readers see one array. Its shape is in the metadata, because lists of lists
        # would be read value by value.
        kind = pyarrow.list_(item, int(np.prod(tap.shape)))
        metadata = {"shape": str(list(tap.shape)), "reducer": tap.reducer}
        fields += [
            pyarrow.field(tap.name if len(selection.views) == 1 else f"{tap.name}@{view}", kind, metadata=metadata)
            for view in selection.views
        ]
    return pyarrow.schema(fields)


def _index_columns(pyarrow: Any, selection: Selection, part: slice) -> list[Any]:
    """The columns of `INDEX`, in its order."""
    store, rows = selection.store, selection.rows[part]
    labels = store.labels[rows]
    return [
        pyarrow.array(rows),
        # The kind is said, as a chunk in which all are None would have none.
        pyarrow.array(store.ids[rows].tolist(), pyarrow.string()),
        pyarrow.array(labels),
        pyarrow.array([store.classes[label] if label >= 0 else None for label in labels.tolist()], pyarrow.string()),
        pyarrow.array(store.splits[rows].tolist(), pyarrow.string()),
    ]


# float32, because many readers of Parquet do not know float16.
PARQUET = Format("parquet", _write, columns=INDEX, dtype="float32")
