"""Creating HDF5 files on a disk that may be full.

Where a write fails, the HDF5 library cannot close its file any more and takes the process with it: a segmentation fault in h5py's
`close`, 5 of 5 on a full disk and at a file-size limit. So it writes through a file object that never fails: the first error is
kept, whatever the library writes after it goes nowhere, and the error is raised once the library has closed its file. Holding the
file in memory first would need the room of a block twice more.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from udta._files.atomic import temporary_name


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
        """See `io.IOBase`."""
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
        """See `io.IOBase`."""
        self._size = self._position if size is None else size
        try:
            if self._error is None:
                os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self._error = error
        return self._size

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return True
