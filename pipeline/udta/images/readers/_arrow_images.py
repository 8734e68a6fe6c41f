"""Images of the Arrow files that `datasets` keeps, which it maps into memory: any row is there at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from udta.errors import ImageError
from udta.images._contents import Contents
from udta.images._image_file import read_image_file

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, eq=False)
class ArrowImages(Contents):
    """The column `column` of datasets that follow each other.

    `named` finds them again. Where a dataset has no bytes of an image but a path, that is read below `cache` alone: it stands
    in a file of somebody else's.
    """

    named: str
    column: str
    datasets: tuple[Dataset, ...]
    cache: str = ""
    _encoded: tuple[Dataset, ...] = field(init=False)
    _starts: Int64[np.ndarray, " datasets+1"] = field(init=False)

    def __post_init__(self) -> None:
        from datasets import Image

        # Bytes as they are: the library would decode them by rules of its own.
        encoded = [
            each.select_columns([self.column]).cast_column(self.column, Image(decode=False)).with_format("arrow")
            for each in self.datasets
        ]
        object.__setattr__(self, "_encoded", tuple(encoded))
        starts = np.array([0, *accumulate(map(len, self.datasets))], dtype=np.int64)
        object.__setattr__(self, "_starts", starts)

    @property
    def source(self) -> str:
        """The name that finds them again."""
        return self.named

    def read(self, row: int, name: str) -> bytes:
        """The bytes in the table, or of the file in the library's cache."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        place = row - int(self._starts[part])
        cell: dict[str, Any] = self._encoded[part][place : place + 1].column(0)[0].as_py() or {}
        content, path = cell.get("bytes"), cell.get("path")
        if content is not None:
            return bytes(content)
        if path and self.cache and os.path.realpath(path).startswith(os.path.realpath(self.cache) + os.sep):
            return read_image_file(path, name)
        raise ImageError(name, f"has no bytes in {self.named}" + (f", only the path {path!r}" if path else ""))

    def paths(self, part: int) -> list[str]:
        """What each image of a dataset was called."""
        found: list[str] = []
        for table in self._encoded[part].iter(batch_size=1000):
            for chunk in table.column(0).chunks:
                found += [path or "" for path in chunk.field("path").to_pylist()]
        return found
