"""HDF5 files: written where the disk may be full, read where they may come from a stranger.

Writing. Where a write fails, the HDF5 library cannot close its file any more and takes the process with it: a segmentation fault
in h5py's `close`, 5 of 5 on a full disk and at a file-size limit. So it writes through a file object that never fails: the first
error is kept, whatever the library writes after it goes nowhere, and the error is raised once the library has closed its file.
Holding the file in memory first would need the memory of a block twice more.

Reading. The format can name other files (external links, external raw data, virtual datasets) and sizes that were never written;
the library follows the one and allocates the other without asking. So a dataset is believed only where its values lie in that
very file, as many as it says.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from udta._files.atomic import temporary_name

# Deflate, shuffle and LZF come with h5py; another filter would be looked for among the plug-ins of this machine.
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_LZF}
_MOST_COMPRESSED = 1100  # deflate reaches 1032 (zlib.net/zlib_tech.html)
# How a text of any length lies in a dataset: its length, and the address and number of its object in a global heap.
_TEXT_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


@contextlib.contextmanager
def created_file(path: Path, **options: Any) -> Iterator[h5py.File]:
    """A new HDF5 file to be filled, which is flushed and gets its name when the context ends without an error.

    Raises:
        OSError: there is no room, or the file cannot be written for another reason; nothing is left of it.
    """
    temporary = path.with_name(temporary_name(path))
    sink = _Sink(temporary)
    try:
        with contextlib.closing(sink):
            with h5py.File(sink, "w", **options) as file:
                yield file
            # After the library has closed the file, which writes to it, and before the name.
            sink.finish()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _Sink(io.RawIOBase):
    """What h5py wants of a file object, by the calls of the operating system."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        self._position = self._size = 0
        self._error: OSError | None = None

    def finish(self) -> None:
        """Have the disk hold it, or raise what went wrong."""
        if self._error is None:
            os.fsync(self._descriptor)
        else:
            raise self._error

    def close(self) -> None:
        """Close the descriptor; once, as `io.IOBase` closes again when the object goes."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The library seeks before every access, and asks for the size by `SEEK_END`."""
        self._position = offset if whence == os.SEEK_SET else self._size + offset
        return self._position

    def write(self, content: Any) -> int:
        """All of it, or none once a write failed."""
        view = memoryview(content).cast("B")
        length, position = len(view), self._position
        try:
            while view and self._error is None:  # one call writes 2 GB at most
                written = os.pwrite(self._descriptor, view, position)
                view, position = view[written:], position + written
        except OSError as error:
            self._error = error
        # As if it had been written, so that the library finds what it expects and comes to its end.
        self._position += length
        self._size = max(self._size, self._position)
        return length

    def readinto(self, buffer: Any) -> int:
        """What was written; zeros where that failed, for a library that does not expect an end there."""
        view = memoryview(buffer).cast("B")
        found = os.pread(self._descriptor, len(view), self._position)
        view[:] = found + bytes(len(view) - len(found))
        self._position += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """The library sets the size of the file so when it closes it."""
        self._size = self._position if size is None else size
        try:
            if self._error is None:
                os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self._error = error
        return self._size

    def readable(self) -> bool:
        """The library reads back what it wrote."""
        return True

    def writable(self) -> bool:
        """It is there to be filled."""
        return True

    def seekable(self) -> bool:
        """The library writes its parts in any order."""
        return True


def plain_dataset(file: h5py.File, name: str, shape: tuple[int, ...] | None = None) -> h5py.Dataset:
    """A dataset whose values lie in this file; of this shape, where one is given.

    Raises:
        ValueError: they do not, or not as many as it says.
    """
    # Step by step: asking for the whole name at once would follow a link in the middle of it.
    found: object = file
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is not there, or a link")
        found = found[part]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name!r} is no dataset")
    properties = found.id.get_create_plist()
    if found.is_virtual or properties.get_external_count():
        raise ValueError(f"{name!r} has its values in other files")
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"{name!r} wants a filter that udta does not use")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name!r} is of shape {found.shape}, not {shape}")
    # What lies on the disk bounds what it can decode to; the claim of a terabyte of zeros in no bytes is refused so.
    most = found.id.get_storage_size() * (_MOST_COMPRESSED if filters else 1)
    if found.size is None or found.size * found.id.get_type().get_size() > most:
        raise ValueError(f"{name!r} claims more values than the file has")
    return found


def read_texts(file: h5py.File, name: str) -> list[str]:
    """A column of texts of any length. Raises `ValueError`."""
    dataset = plain_dataset(file, name)
    offset = dataset.id.get_offset()
    if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or offset is None:
        raise ValueError(f"{name!r} is no column of texts")
    # Many entries may stand for one text, which the library would copy for each of them.
    references = np.fromfile(file.filename, dtype=_TEXT_REFERENCE, count=len(dataset), offset=offset)
    if int(references["length"].sum(dtype=np.int64)) > os.path.getsize(file.filename):  # noqa: PTH202  # h5py has it as text
        raise ValueError(f"{name!r} claims more text than the file has")
    texts: list[str] = dataset.asstr()[:].tolist()
    return texts


def read_labels(file: h5py.File, name: str) -> np.ndarray:
    """A column of whole numbers. Raises `ValueError`."""
    dataset = plain_dataset(file, name)
    if dataset.dtype.kind not in "iu" or dataset.ndim != 1:
        raise ValueError(f"{name!r} is no column of whole numbers")
    return np.asarray(dataset[:])
