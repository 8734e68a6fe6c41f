"""What a prediction gave: how many images, where the table is, and the table itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from udta._files.table_file import read_table
from udta.errors import ConfigError
from udta.prediction._table_lines import Kind

_READ = {"text": str, "double": float, "float": float, "whole": int}


@dataclass(frozen=True)
class PredictReport:
    """`images` were predicted by each of `adapters`, `resumed` of them by a run before; `skipped` gives a reason by image.

    `out` is the table's file, None where there is none; `columns` says what stands in it.
    """

    out: str | None
    images: int
    adapters: Sequence[str]
    skipped: Mapping[str, str]
    resumed: int = 0
    columns: Mapping[str, Kind] = field(default_factory=dict, repr=False)
    kept: Mapping[str, list[Any]] | None = field(default=None, repr=False)

    @cached_property
    def table(self) -> Mapping[str, list[Any]]:
        """Columns by name, None where there is nothing; of a file read when this is asked for, with what it has been rounded to.

        Raises:
            DataError: the file is not there any more.
            ConfigError: it went to a stream.
        """
        if self.kept is not None:
            return self.kept
        if self.out is None:
            raise ConfigError("the table went to a stream: ask for it without `out`, or with the name of a file")
        found = read_table(Path(self.out), lambda names: names)
        if self.out.endswith(".parquet"):
            return found
        # Texts in CSV; a label that is empty is one.
        return {
            name: [None if cell == "" and kind != "text" else _READ[kind](cell) for cell in found[name]]
            for name, kind in self.columns.items()
        }

    def to_pandas(self) -> Any:
        """The table as a `pandas.DataFrame`. Raises `ConfigError` where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigError("to_pandas() needs pandas: pip install pandas, or take .table") from error
        return pandas.DataFrame(dict(self.table))

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {
            "out": self.out,
            "images": self.images,
            "adapters": list(self.adapters),
            "skipped": dict(self.skipped),
            "resumed": self.resumed,
        }
