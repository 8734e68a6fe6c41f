"""One writer a store: an advisory `flock` on the store's own directory, which the kernel drops when the process dies.

Locking the directory itself needs no lock file, so nothing is left behind by a kill and nothing foreign lies in the Zarr group.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from udta.errors import StoreBusyError

# A stage whose `dvc` was killed needs a moment to die: wait for it rather than fail.
PATIENCE_S = 5.0


class DirectoryLock:
    """Holds the exclusive lock of a directory from construction to `release`."""

    def __init__(self, directory: Path, patience_s: float | None = None) -> None:
        self.directory = directory
        deadline = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        while True:
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                if time.monotonic() >= deadline:
                    raise StoreBusyError(
                        f"{directory} is being written by another process{_holder(directory)}; wait for it or stop it"
                    ) from None
                time.sleep(0.05)
                continue
            if self._still_there():
                return
            os.close(self._descriptor)  # the directory was replaced while we waited: lock its successor

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)

    def _still_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.directory.stat())
        except FileNotFoundError:
            return False


def _holder(directory: Path) -> str:
    """The process id of the holder where the kernel tells it (Linux), as ` (process 123)`."""
    try:
        inode, locks = str(directory.stat().st_ino), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in locks:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == inode:
            return f" (process {fields[4]})"
    return ""
