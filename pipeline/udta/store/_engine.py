"""The contract of a store engine: where the arrays of a store lie and how their bytes are reached.

An engine knows layout and bytes. Which blocks count is the ledger's word, and every rule about rows is in the reader and the
writers. A new format is one file with one subclass, and one line in `_registry`. It implements what is abstract here, in the
order in which a store meets it, and what has to hold is this:

- An empty store is whole: `create` writes columns, attributes and array metadata and seals all of these files with
  `self.ledger.seal`, so that a flipped bit in any of them is found.
- A block is on the disk when `write_block` returns: under its final name, contents and names flushed. Only then does the writer
  put the ledger record. No file belongs to two blocks, since blocks are written, linked and dropped one by one, and by several
  processes at once.
- Files of a committed block are never changed in place: readers have them mapped, and a grown store shares them by hard links.
- Equal layouts and features give equal bytes: no times, no random names, no order of a set.
- What was never written reads as `STORAGE_TYPES[...].fill` to the format's own tools, which do not know our ledger.
- Files are opened below `path` and named in errors by `directory`: another store may take the name at any moment.
- A store may come from anybody. `load`, `extents` and `decode_chunk` believe nothing: no link out of the store, no size that its
  files do not have, no codec or filter beyond those of its line in `_registry.py`.

`StoreContract` in tests/store holds the tests that every engine passes.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from udta._files.atomic import PARTIAL
from udta.errors import CorruptStoreError, StoreError
from udta.fingerprint import TapSpec
from udta.store._directory import Directory
from udta.store._layout import Layout, row_bytes
from udta.store._ledger import Ledger, remove_partial_files
from udta.store._mapped_rows import Extent
from udta.store._record import Record, checksum


class Engine(ABC):
    """One store on disk; nothing is opened or created by construction.

    Attributes:
        format: its name, as users type it.
        directory: of the store; what errors say of files goes through it.
        path: where its files are opened.
        ledger: of the store.
    """

    format: ClassVar[str]
    ledger: Ledger

    def __init__(self, directory: Directory) -> None:
        self.directory, self.path = directory, directory.root

    # --- What an engine implements.

    @classmethod
    @abstractmethod
    def owns(cls, directory: Directory) -> bool:
        """Whether a directory is a store of this engine, of any version, damaged or not. At most one engine says so."""

    @abstractmethod
    def create(self, layout: Layout) -> None:
        """Write an empty store into `path`, an existing empty directory, and seal it."""

    @abstractmethod
    def load(self) -> Layout:
        """The layout on disk; the caller has checked the seal.

        Raises:
            CorruptStoreError: it cannot be read, or is not what a store can have.
        """

    @abstractmethod
    def write_block(self, layout: Layout, block: int, features: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Store one block and have the disk hold it.

        Args:
            layout: of the store.
            block: which has no ledger record; unfinished files of it may be there and are replaced.
            features: for every tap `[rows, views, *tap.shape]` as stored (bfloat16 as its bits, uint16).

        Returns:
            What `extents` and `decode_chunk` want to know of it later, as JSON: the record's `note`.

        Raises:
            OSError: there is no room; nothing of it has its final name then, or all of it may go.
        """

    @abstractmethod
    def link_block(self, layout: Layout, block: int, source: Engine, record: Record) -> None:
        """Take a whole block over from a store of the same engine, taps and views, without copying its bytes if possible.

        It keeps the record's note and checksums. `block` is its number here, `record.block` that in `source`.
        """

    @abstractmethod
    def folders(self) -> list[Path]:
        """Where block files are written; those that killed writers left unfinished lie in there."""

    @abstractmethod
    def extents(self, layout: Layout, record: Record) -> dict[tuple[str, int], Extent] | None:
        """Where the bytes of each (tap, view) of a block lie, by the library's own index.

        Its rows lie there in C order. None where they do not: compressed, or no file of this machine.
        """

    @abstractmethod
    def decode_chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """`[rows, *tap.shape]` of one view of one block as stored, unchecked; may raise anything for a damaged file."""

    @abstractmethod
    def chunk_file(self, record: Record, tap: str, view: int) -> Path:
        """The file that holds one view of one tap of a block, for errors."""

    def check_note(self, layout: Layout, record: Record) -> None:  # noqa: B027  # most formats have none
        """Raises `ValueError`, `KeyError` or `TypeError` where a record's note is not one that `write_block` gives."""

    # --- What every engine has.

    def save_metadata(self, layout: Layout) -> None:
        """Replace columns, attributes and array metadata by those of `layout`; blocks and records stay.

        Everything is written into a skeleton inside the store and moved over file by file, between breaking the seal and
        putting the new one.
        """
        # Inside the store, so that what a kill leaves is found by `sweep` and every move is one of the same file system.
        skeleton = Path(tempfile.mkdtemp(prefix=".metadata.", suffix=PARTIAL, dir=self.path))
        fresh = type(self)(Directory(skeleton))
        fresh.create(layout)
        self.ledger.break_seal(layout.attributes())
        # File by file, not by exchanging the store: its blocks may be gigabytes, on a disk that has no room for a second one.
        for name in fresh.ledger.sealed_files():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (skeleton / name).replace(self.path / name)
        # Last: until then the store reads as damaged, and any writer does all of this again.
        seal = f"{self.ledger.directory.name}/{self.ledger.name}"
        (skeleton / seal).replace(self.path / seal)
        shutil.rmtree(skeleton)

    def chunk(self, layout: Layout, record: Record, tap: str, view: int) -> np.ndarray:
        """`[rows, *tap.shape]` of one view of one block through the library's own read path.

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
        # A small part of the time of decoding, and the one thing that tells a chunk behind a URL from that of a store which was
        # put there since.
        if checksum(values) != record.checksums[tap][view]:
            raise self.directory.damage(file, "does not fit its checksum")
        return values

    def check_records(self, layout: Layout, records: Iterable[Record]) -> Iterator[Record]:
        """The same records. Raises `CorruptStoreError` at the first that is not about this store."""
        for record in records:
            try:
                self._check_record(layout, record)
            except (ValueError, KeyError, TypeError) as error:
                raise CorruptStoreError(
                    f"{self.directory.path}: the ledger record of block {record.block} does not fit the store ({error}); "
                    "`udta verify --repair` drops it"
                ) from error
            yield record

    def check_block(self, layout: Layout, record: Record) -> int:
        """Compare every byte that readers get of a block with its checksums; returns how many there are.

        Raises:
            CorruptStoreError: one of them does not fit, or a file is missing or cannot be read.
        """
        checked = 0
        try:
            self._check_record(layout, record)
            for tap, view, values in self._values(layout, record):
                checked += values.nbytes
                if checksum(values) != record.checksums[tap][view]:
                    raise CorruptStoreError(f"tap {tap!r}, view {view}: the checksum does not fit")
        # Whatever else is raised is a fault of ours: to call it damage would have `--repair` drop a good block.
        except ValueError as error:
            raise CorruptStoreError(f"its ledger record does not fit the store: {error}") from error
        except (OSError, IndexError, KeyError, TypeError) as error:
            raise CorruptStoreError(f"it cannot be read ({error})") from error
        return checked

    def sweep(self) -> None:
        """Remove unfinished temporaries that a killed writer left."""
        for leftover in self.path.glob(f".metadata.*{PARTIAL}"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        for folder in (self.path, *self.folders()):
            remove_partial_files(folder)
        self.ledger.sweep()

    def _check_record(self, layout: Layout, record: Record) -> None:
        record.check(layout)
        self.check_note(layout, record)

    def _values(self, layout: Layout, record: Record) -> Iterator[tuple[str, int, np.ndarray]]:
        """What readers get of a block: the bytes at the known places where there are any, else what the library decodes."""
        extents = self.extents(layout, record)
        for tap in layout.taps:
            for view in range(layout.n_views):
                if extents is None:
                    yield tap, view, self.chunk(layout, record, tap, view)
                else:
                    yield tap, view, _read(extents[tap, view], layout.taps[tap])


def _read(extent: Extent, tap: TapSpec) -> np.ndarray:
    # By reading and not by mapping: of damage in the disk, reading makes an error and mapped memory a SIGBUS.
    length = extent.rows * row_bytes(tap)
    try:
        if extent.path.stat().st_size < extent.offset + length:
            raise CorruptStoreError(f"{extent.path.name} is too short")
        values = np.fromfile(extent.path, dtype=np.uint8, count=length, offset=extent.offset)
    except FileNotFoundError:
        raise CorruptStoreError(f"{extent.path.name} is missing") from None
    return values
