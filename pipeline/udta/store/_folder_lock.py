"""One writer a store: an advisory `flock` on a file beside the store, which the kernel drops when the process dies.

Beside, because what lies in a store changes places with the successor of a growth, and whoever waited for a lock in there would
get that of a directory which is none any more. A file, because NFS locks nothing that is not open for writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from udta._files.locks import PATIENCE_S, holder, locked
from udta.errors import StoreBusyError, StoreError

# What flock(2) gives where a file system has no locks, or its server answers to none.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class FolderLock:
    """The exclusive lock of a folder, by a file in it, from construction to `release`.

    The file holds what the folder is, so that a folder of somebody else that has the same name is told from ours: it is left as
    it is. The file is the first thing in the folder and the last, so a process that is killed at any moment leaves what the next
    one takes over.

    Args:
        folder: which is made when it is not there; its parent is there.
        what: is locked, for errors.
        marker: the content of the file.
        patience_s: how long to wait for another holder.

    Raises:
        StoreBusyError: another process holds it.
        StoreError: the folder is not ours, or its file system cannot lock.
        OSError: the folder cannot be made or written.
    """

    FILE = "lock"

    def __init__(self, folder: Path, what: Path, marker: bytes, patience_s: float | None = None) -> None:
        self._folder, self._file, self._marker = folder, folder / self.FILE, marker
        deadline = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        try:
            self.descriptor = locked(self._file, self._opened, deadline)
        except BlockingIOError:
            raise StoreBusyError(
                f"{what} is being written by another process{holder(self._file)}; wait for it or stop it"
            ) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            raise StoreError(
                f"the file system of {folder.parent} has no locks ({error.strerror}), without which two writers would "
                "spoil a store; write to another one, or mount it with locks"
            ) from error
        try:
            self._check_marker()  # under the lock, so that nobody is writing the marker just now
        except BaseException:
            os.close(self.descriptor)
            raise

    def release(self) -> None:
        """Let the next writer in. The folder is removed unless something lies in it."""
        if os.listdir(self._folder) == [self.FILE]:  # noqa: PTH208
            # While it is still locked: whoever waits for it finds the file gone, see `locked`, and makes a new one.
            self._file.unlink()
            with contextlib.suppress(OSError):  # the next writer is in there already
                self._folder.rmdir()
        os.close(self.descriptor)

    def _opened(self) -> int:
        while True:
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir()
            # Its last holder may remove the folder between the two.
            with contextlib.suppress(FileNotFoundError):
                return self._open()

    def _open(self) -> int:
        if self._folder.is_symlink():
            raise self._foreign()
        try:
            there = os.listdir(self._folder)  # noqa: PTH208
        except NotADirectoryError:
            raise self._foreign() from None
        if there and self.FILE not in there:  # ours has the lock file first and last
            raise self._foreign()
        # Not inherited by programs that we start (PEP 446): workers that shall have it are given it by number.
        return os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)

    def _check_marker(self) -> None:
        # One byte more, so that a longer one is not taken for ours.
        found = os.pread(self.descriptor, len(self._marker) + 1, 0)
        if found == self._marker:
            return
        # Empty, and alone: we made it just now, or a writer was killed before it wrote the marker.
        if found or os.listdir(self._folder) != [self.FILE]:  # noqa: PTH208
            raise self._foreign()
        try:
            os.pwrite(self.descriptor, self._marker, 0)
            os.fsync(self.descriptor)
        except OSError:  # a full disk: half a marker would make the folder foreign for ever
            os.ftruncate(self.descriptor, 0)
            self._file.unlink()
            self._folder.rmdir()
            raise

    def _foreign(self) -> StoreError:
        return StoreError(
            f"{self._folder} has the name of the folder that udta works in, but is not one; it was left as it is, move it away"
        )


def is_locked(folder: Path) -> bool:
    """Whether somebody holds the lock of a folder just now; False where that cannot be told."""
    try:
        descriptor = os.open(folder / FolderLock.FILE, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # Shared, so that readers who ask at the same time do not take each other for a writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False
