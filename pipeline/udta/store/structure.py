"""The files of a store before anything in them is believed: regular ones below the store alone, and records that fit the layout.

A store may come from anybody. A link would have other files served as features, a pipe would be waited at for ever.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from udta.errors import CorruptStoreError
from udta.store.directory import Directory, is_local
from udta.store.layout import Layout
from udta.store.ledger import Record

_HEX = re.compile("[0-9a-f]*")


def check_files(directory: Directory) -> None:
    """Refuses a store in which anything is neither a directory nor a regular file; a store behind a URL has nothing else.

    Raises:
        CorruptStoreError: a link, a pipe, a device or a socket.
    """
    if not is_local(directory.root):
        return
    folders = [os.fspath(directory.root)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        file = directory.shown(Path(entry.path))
                        what = "a link" if entry.is_symlink() else "no regular file"
                        raise CorruptStoreError(
                            f"{file} is {what}, which a store does not have: it is made of regular files of its own; "
                            "copy it with `cp -rL` if you trust where it leads"
                        )
        except (FileNotFoundError, NotADirectoryError):
            continue  # taken away meanwhile, as temporaries are


def check_records(layout: Layout, records: Iterable[Record], path: Path) -> Iterator[Record]:
    """The same records. Raises `CorruptStoreError` at the first that is not about the store at `path`."""
    for record in records:
        try:
            check_record(layout, record)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptStoreError(
                f"{path}: the ledger record of block {record.block} does not fit the store ({error}); "
                "`udta verify --repair` drops it"
            ) from error
        yield record


def check_record(layout: Layout, record: Record) -> None:
    """Raises `ValueError` where a record is not about the rows, taps and views that the store has in its block."""
    names, contents = zip(*record.samples, strict=True) if record.samples else ((), ())
    if not 0 <= record.block < layout.n_blocks or (record.start, record.stop) != layout.block_range(record.block):
        raise ValueError("it is about other rows than the store has there")
    if names != layout.ids[record.start : record.stop]:
        raise ValueError("it is about other images than the store has there")
    if set(map(len, contents)) != {64} or not _HEX.fullmatch("".join(contents)):
        raise ValueError("the content of an image is named by no SHA-256")
    if record.checksums.keys() != layout.taps.keys() or any(
        len(views) != layout.n_views for views in record.checksums.values()
    ):
        raise ValueError("it has checksums of other taps or views than the store")
    if not all(record.start <= row < record.stop for row in record.skipped):
        raise ValueError("it skips rows that it does not have")
    if record.note:
        _check_note(layout, record)


def _check_note(layout: Layout, record: Record) -> None:
    """The places of chunks in the file of a block, as the HDF5 engine notes them."""
    size, chunks = record.note["size"], record.note["chunks"]
    if not isinstance(size, int) or not isinstance(chunks, dict) or chunks.keys() != layout.taps.keys():
        raise ValueError("its note is not about the store's taps")
    for places in chunks.values():
        if len(places) != layout.n_views:
            raise ValueError("its note is not about the store's views")
        for offset, length in places:
            if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= size:
                raise ValueError("its note names places outside the file")
