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

from udta._files.atomic import PARTIAL
from udta.errors import StoreError
from udta.store.directory import Directory
from udta.store.layout import Layout
from udta.store.ledger import Ledger, Record, checksum, remove_partial_files
from udta.store.mapped_rows import Extent


class Engine(ABC):
    """One store on disk; nothing is opened or created by construction.

    Attributes:
        directory: of the store; what errors say of files goes through it.
        path: where its files are opened.
    """

    format: ClassVar[str]
    codecs: ClassVar[Sequence[str]]  # lossless compressions by name, `none` first
    ledger: Ledger

    def __init__(self, directory: Directory) -> None:
        self.directory, self.path = directory, directory.root

    @classmethod
    @abstractmethod
    def owns(cls, directory: Directory) -> bool:
        """Whether a directory is a store of this engine (of any version)."""

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
        fresh = type(self)(Directory(skeleton))
        fresh.create(layout)
        self.ledger.break_seal(layout.attributes())
        for name in fresh.ledger.sealed_files():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (skeleton / name).replace(self.path / name)
        seal = f"{self.ledger.directory.name}/{self.ledger.name}"  # last: until then the store reads as damaged
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

    def chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """`[rows, *tap.shape]` of one view of one block through the library's own read path.

        Its checksum is compared: a small part of the time of decoding, and the one thing that tells a chunk behind a URL from
        that of a store which was put there since.

        Raises:
            StoreReplacedError: it is the file of a store that is not there any more.
            CorruptStoreError: it is missing, cannot be decoded, or is not what was committed.
        """
        file = self.chunk_file(record, tap, view)
        try:
            values = self.decode_chunk(layout, record, tap, view)
        except StoreError:
            raise
        except Exception as error:  # whatever a decoder raises; gzip an EOFError, which command lines take for Ctrl-D
            missing = isinstance(error, FileNotFoundError)
            raise self.directory.damage(file, "is missing" if missing else f"cannot be read ({error})") from error
        self.directory.confirm()
        if checksum(values) != record.checksums[tap][view]:
            raise self.directory.damage(file, "does not fit its checksum")
        return values

    @abstractmethod
    def decode_chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """What `chunk` gives, unchecked; may raise anything for a damaged file."""

    @abstractmethod
    def chunk_file(self, record: Record, tap: str, view: int) -> Path:
        """The file that holds one view of one tap of a block."""

    def sweep(self) -> None:
        """Remove unfinished temporaries that a killed writer left."""
        for leftover in self.path.glob(f".metadata.*{PARTIAL}"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        for folder in (self.path, *self.folders()):
            remove_partial_files(folder)
        self.ledger.sweep()

    @abstractmethod
    def folders(self) -> list[Path]:
        """Where block files are written; those that killed writers left unfinished lie in there."""
