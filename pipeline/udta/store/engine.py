"""The contract of a store engine: where the arrays of a store lie and how their bytes are reached.

An engine knows layout and bytes. Which blocks count is the ledger's word, and every rule about rows is in `reader` and `writer`.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from udta.store.layout import Layout
from udta.store.ledger import PARTIAL, Ledger, Record
from udta.store.mapping import Extent


class Engine(ABC):
    """One store on disk. `path` is a directory; nothing is opened or created by construction."""

    format: ClassVar[str]
    codecs: ClassVar[Sequence[str]]  # lossless compressions by name, `none` first
    ledger: Ledger

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @abstractmethod
    def owns(cls, path: Path) -> bool:
        """Whether `path` is a store of this engine (of any version)."""

    @abstractmethod
    def create(self, layout: Layout) -> None:
        """Write an empty store into `path`, an existing empty directory."""

    @abstractmethod
    def load(self) -> Layout:
        """The layout on disk; the caller has checked the seal. Raises `CorruptStoreError`."""

    def save_metadata(self, layout: Layout) -> None:
        """Replace columns, attributes and array metadata by those of `layout`; blocks and records stay.

        Everything is written into a skeleton inside the store and moved over file by file, between breaking the seal and
        putting the new one.
        """
        skeleton = Path(tempfile.mkdtemp(prefix=".metadata.", suffix=PARTIAL, dir=self.path))
        fresh = type(self)(skeleton)
        fresh.create(layout)
        self.ledger.break_seal(layout.attributes())
        for name in fresh.ledger.sealed_files():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (skeleton / name).replace(self.path / name)
        seal = f"{self.ledger.directory.name}/{self.ledger.name}"
        (skeleton / seal).replace(self.path / seal)
        shutil.rmtree(skeleton)

    @abstractmethod
    def write_block(self, layout: Layout, block: int, features: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Store `[rows, views, *tap.shape]` for every tap of one block and flush it; returns the record's `note`."""

    @abstractmethod
    def link_block(self, layout: Layout, block: int, source: Engine, record: Record) -> None:
        """Take a whole block over from a store of the same engine, taps and views, without copying its bytes if possible."""

    @abstractmethod
    def extents(self, layout: Layout, record: Record) -> dict[tuple[str, int], Extent] | None:
        """Where the bytes of each (tap, view) lie, by the library's own index; None when they are not plain rows in a file."""

    @abstractmethod
    def chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """`[rows, *tap.shape]` of one view of one block through the library's own read path."""

    def sweep(self) -> None:
        """Remove unfinished temporaries that a killed writer left."""
        for leftover in self.path.rglob(f"*{PARTIAL}"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        self.ledger.sweep()
