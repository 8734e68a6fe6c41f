"""Where the encoded bytes of images are: in files of their own here; archives and tables stand beside their readers.

Whoever wants an image asks for a row. Which file is opened for it, and how long it stays open, is settled here and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from udta.errors import ImageError
from udta.images._image_file import hash_image_file, read_image_file

# Images handed to a thread at once: with one, handing them over takes longer than hashing a thumbnail.
_HASHED_TOGETHER = 64


class Contents(ABC):
    """The encoded image of every row of a listing, for any number of threads. Other processes get it as a pickle."""

    @property
    @abstractmethod
    def source(self) -> str:
        """What to name as IMAGES, from any folder, to find these images again."""

    @abstractmethod
    def read(self, row: int, name: str) -> bytes:
        """One encoded image; `name` is what errors call it, its id. Raises `ImageError`: it cannot be read."""

    def sha256(self, row: int, name: str) -> str:
        """SHA-256 of its bytes, hexadecimal. Arguments and errors are those of `read`."""
        return hashlib.sha256(self.read(row, name)).hexdigest()

    def hashes(self, rows: Sequence[int], names: Sequence[str]) -> list[str | ImageError]:
        """SHA-256 of rows with their ids, or why one cannot be read, so that all of those are reported together."""
        named = list(zip(rows, names, strict=True))
        groups = [named[start : start + _HASHED_TOGETHER] for start in range(0, len(named), _HASHED_TOGETHER)]
        # In threads: hashlib lets go of the interpreter lock.
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="udta-hash") as pool:
            return [
                one
                for group in pool.map(lambda group: [self.hash_or_error(*each) for each in group], groups)
                for one in group
            ]

    def hash_or_error(self, row: int, name: str) -> str | ImageError:
        """`sha256`, or why there is none."""
        try:
            return self.sha256(row, name)
        except ImageError as error:
            return error


@dataclass(frozen=True)
class Files(Contents):
    """A file for each image, which lies where its name says, relative to `root`."""

    root: Path

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root.resolve())

    def read(self, row: int, name: str) -> bytes:
        """The whole file."""
        return read_image_file(self._path(name), name)

    def sha256(self, row: int, name: str) -> str:
        """In pieces, so that no large file is in memory."""
        return hash_image_file(self._path(name), name)

    def _path(self, name: str) -> str:
        # Of a million names: a `Path` of each takes seconds.
        return name if name.startswith("/") else f"{self.root}/{name}"


@dataclass(frozen=True, eq=False)
class Chosen(Contents):
    """Rows of other contents, in an order of their own: `part` says of which of `parts`, `rows` which; -1 is none of theirs."""

    parts: tuple[Contents, ...]
    part: Int64[np.ndarray, " rows"]
    rows: Int64[np.ndarray, " rows"]

    @property
    def source(self) -> str:
        """Of the first part."""
        return self.parts[0].source

    def read(self, row: int, name: str) -> bytes:
        """As that part reads it."""
        if self.rows[row] < 0:
            raise self._gone(row, name)
        return self.parts[int(self.part[row])].read(int(self.rows[row]), name)

    def hashes(self, rows: Sequence[int], names: Sequence[str]) -> list[str | ImageError]:
        """Each part in the way that suits it, as long as rows of one follow each other."""
        found: list[str | ImageError] = []
        each = zip(rows, names, strict=True)
        for (part, there), group in groupby(each, lambda one: (int(self.part[one[0]]), bool(self.rows[one[0]] >= 0))):
            own, called = zip(*group, strict=True)
            if there:
                found += self.parts[part].hashes([int(self.rows[row]) for row in own], called)
            else:
                found += map(self._gone, own, called)
        return found

    def _gone(self, row: int, name: str) -> ImageError:
        return ImageError(name, f"is not in {self.parts[int(self.part[row])].source} any more")
