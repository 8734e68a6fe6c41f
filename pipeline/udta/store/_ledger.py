"""The ledger: a block counts only once its record exists, and the record is written last, atomically.

Neither Zarr nor HDF5 can say that a chunk was never written: both read it as the fill value. So every committed block has one
small JSON object that names its rows, the identity of every sample in it and a CRC-32C for each tap and view. The object is
written to a temporary name, flushed and renamed, which on an object store is one put. What no record covers does not exist.

The ledger's root holds the *seal*: a CRC-32C of every other file of the store (columns, attributes, array metadata), so that a
flipped bit in a label is found as one in a feature is. Records and seal carry a checksum of themselves.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import google_crc32c

from udta._files.atomic import PARTIAL, write_bytes
from udta._files.names import document_problem, path_problem
from udta._files.paths import read_regular
from udta.errors import CorruptStoreError, reason
from udta.store._directory import Directory
from udta.store._layout import FORMAT
from udta.store._record import Record


class Ledger:
    """The records under one directory, one object a block, and the seal in its root.

    In a Zarr store every object is `<block>/zarr.json`, a group whose attributes are the record: so they travel with any tool
    that copies a Zarr hierarchy, and listing the store warns of no foreign file. Elsewhere it is `<block>/record.json`, the same.
    """

    def __init__(self, store: Directory, name: str) -> None:
        self._store, self.directory, self.name = store, store.root / "ledger", name
        self.seal_file = self.directory / name

    def path(self, block: int) -> Path:
        """Where the record of a block lies."""
        return self.directory / f"{block:06d}" / self.name

    def put(self, record: Record) -> None:
        """Commit a block: from here on its rows exist."""
        path = self.path(record.block)
        # The folder alone is no commit: a kill between the two leaves an empty one, which `blocks` passes over.
        path.parent.mkdir(exist_ok=True)
        write_bytes(path, _document(record.to_json()))

    def drop(self, block: int) -> None:
        """Take a block's rows back; they read as uncommitted at once."""
        self.mark(complete=False)  # first, so that a kill between the two does not make the block look lost
        self.path(block).unlink(missing_ok=True)

    def records(self) -> Iterator[Record]:
        """Every record, by block. Raises `CorruptStoreError` for one that cannot be understood."""
        for block in self.blocks():
            try:
                yield self.record(block)
            except CorruptStoreError:
                if self.path(block).exists():  # else it was dropped since
                    raise

    def blocks(self) -> list[int]:
        """The blocks that have a record, readable or not."""
        # By the file and not by its folder, and numbers alone: tools of others may have put anything there.
        return sorted(
            int(path.parent.name) for path in self.directory.glob(f"*/{self.name}") if path.parent.name.isdecimal()
        )

    def record(self, block: int) -> Record:
        """One record. Raises `CorruptStoreError` when it cannot be understood."""
        path = self.path(block)
        shown = self._store.shown(path)
        try:
            record = Record.from_json(_attributes(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptStoreError(
                f"{shown}: this ledger record cannot be read ({error}); `udta verify --repair` drops it and the next "
                "`udta extract` computes its block again"
            ) from error
        if record.block != block:  # its checksum fits: copied here from another block, whose values it vouches for
            raise CorruptStoreError(
                f"{shown}: this ledger record is that of block {record.block}; `udta verify --repair` drops it"
            )
        return record

    def seal(self, files: Mapping[str, str], attributes: Mapping[str, Any]) -> None:
        """Say that the store's other files are as they shall be; `files` maps relative paths to checksums.

        The store's attributes are kept here as well, so that a damaged store can be told from a strange one and mended.
        """
        self.directory.mkdir(exist_ok=True)
        write_bytes(self.seal_file, _document({"seal": dict(files), "layout": dict(attributes)}))

    def break_seal(self, attributes: Mapping[str, Any]) -> None:
        """Before these files are changed: a store that is left so reads as damaged until a writer has finished the change."""
        write_bytes(self.seal_file, _document({"seal": None, "layout": dict(attributes)}))

    @property
    def complete(self) -> bool:
        """Whether every block was committed once, so that a record which is not there was lost."""
        return bool(_attributes(self.seal_file).get("complete", False))

    def mark(self, *, complete: bool) -> None:
        """Note in the seal that every block is committed, or that blocks are about to be taken back."""
        sealed = _attributes(self.seal_file)
        # Written only where it changes, since a reader takes a changed seal for a changed store and looks again.
        if sealed.pop("complete", False) != complete:
            write_bytes(self.seal_file, _document({**sealed, "complete": True} if complete else sealed))

    def stamp(self) -> bytes:
        """The seal as it lies there: while it is the same, no other file that it covers has changed. Empty when it is gone."""
        try:
            return self.seal_file.read_bytes()
        except OSError:
            return b""

    def sealed_files(self) -> list[str]:
        """Relative paths of the files that the seal covers."""
        return sorted(_attributes(self.seal_file)["seal"])

    def sealed_attributes(self) -> dict[str, Any]:
        """The store's attributes as they shall be. Raises `CorruptStoreError` when the seal is damaged."""
        try:
            return dict(_attributes(self.seal_file)["layout"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptStoreError(
                f"{self._store.shown(self.seal_file)}: the seal cannot be read ({reason(error)}); "
                "remove the store and extract again"
            ) from error

    def is_ours(self) -> bool:
        """Whether there is a seal that can be read and names a store."""
        try:
            return bool(self.sealed_attributes()["format"] == FORMAT)
        except (CorruptStoreError, KeyError):
            return False

    def check_seal(self) -> list[str]:
        """What is wrong with the sealed files of the store, one sentence each."""
        try:
            sealed = _attributes(self.seal_file)["seal"]
            if sealed is None:  # `break_seal`, and nobody came to the end
                return ["a change of its metadata was interrupted"]
            # Checked before any is opened: names in a file are data, and this one says which files to read.
            if problem := path_problem(sealed) or any(".." in name.split("/") for name in sealed):
                return [f"its seal is about other files ({problem})"]
            return [
                f"{name} is missing or changed"
                for name, expected in sealed.items()
                if file_checksum(self._store.root / name) != expected
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return [f"the seal in {self.directory.name}/{self.name} cannot be read ({reason(error)})"]

    def sweep(self) -> None:
        """Remove what an interrupted commit left: temporaries, and directories without a record."""
        remove_partial_files(self.directory)
        for folder in self.directory.iterdir():
            if folder.name.isdecimal() and folder.is_dir() and not folder.is_symlink():
                remove_partial_files(folder)
                with contextlib.suppress(OSError):  # it has its record, or something that is not ours
                    folder.rmdir()


def remove_partial_files(folder: Path) -> None:
    """Remove temporaries that a killed writer left right in a folder of a store."""
    # Files alone, since a tap, which is a folder, may be called `x.partial`. By the ending alone, without the random part of
    # `_files.atomic`: zarr-python writes its metadata under `<key>.<uuid>.partial` and leaves those after a kill (zarr 3.1).
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.endswith(PARTIAL) and entry.is_file() and not entry.is_symlink():
            entry.unlink(missing_ok=True)


def file_checksum(path: Path) -> str:
    """CRC-32C of a regular file; empty when there is none."""
    try:
        return f"{google_crc32c.value(read_regular(path)):08x}"
    except FileNotFoundError:
        return ""


def _document(attributes: Mapping[str, Any]) -> bytes:
    # A Zarr group whatever the format of the store: one form of record, and a Zarr store has no file that its tools do not know.
    signed = {**attributes, "crc": _own_checksum(attributes)}
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": signed}, separators=(",", ":")).encode()


def _attributes(path: Path) -> dict[str, Any]:
    try:
        document = dict(json.loads(read_regular(path))["attributes"])
    except RecursionError:  # of the parser, by nothing but opening brackets
        raise ValueError("it is nested too deeply") from None
    if problem := document_problem(document):
        raise ValueError(problem)
    if document.pop("crc") != _own_checksum(document):
        raise ValueError("its checksum does not fit")
    return document


def _own_checksum(attributes: Mapping[str, Any]) -> str:
    # Of the sorted form, not of the bytes in the file: tools that copy a Zarr hierarchy may write its JSON anew.
    canonical = json.dumps(attributes, separators=(",", ":"), sort_keys=True)
    return f"{google_crc32c.value(canonical.encode()):08x}"
