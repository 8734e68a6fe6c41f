"""One writer an output: a second process that would write the same file or folder is refused, and says who has it.

The lock is an advisory `flock` on a hidden empty file beside the output, which the kernel drops when its holder dies. It lies
outside of what it protects, so that an output may be replaced as a whole while it is held. The file is removed on release; what
a kill leaves of it is taken over, and removed, by the next writer of the same output.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from udta.errors import OutputBusyError

# A stage whose `dvc` was killed needs a moment to die: wait for it rather than fail.
PATIENCE_S = 5.0
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def one_writer(*outputs: Path | None, patience_s: float | None = None) -> Iterator[None]:
    """Hold the locks of files or folders that shall be written; parent directories are made, None is passed over.

    Raises:
        OutputBusyError: another process, or another call in this one, is writing one of them.
    """
    # In one order everywhere, and each once: two writers of the same outputs never wait for each other.
    paths = sorted({Path(os.path.abspath(output)) for output in outputs if output is not None})  # noqa: PTH100  # links stay
    held: list[tuple[Path, int]] = []
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = lock_path(path)
            held.append((file, _acquire(file, path, PATIENCE_S if patience_s is None else patience_s)))
        yield
    finally:
        for file, descriptor in reversed(held):
            file.unlink(missing_ok=True)  # before it is let go of: who waits for it sees that it is not there any more
            os.close(descriptor)


def lock_path(output: Path) -> Path:
    """The file whose lock stands for an output."""
    return output.with_name(f".{output.name}.lock")


def lock_held(descriptor: int) -> bool:
    """Try to take the exclusive lock of an open file; False when another holds it, or the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _acquire(file: Path, output: Path, patience_s: float) -> int:
    deadline = time.monotonic() + patience_s
    while True:
        descriptor = os.open(file, _FLAGS, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise OutputBusyError(
                    f"{output} is being written by another process{holder(file)}; wait for it or stop it"
                ) from None
            time.sleep(0.05)
            continue
        except OSError:  # a file system without locks: nothing can be known
            return descriptor
        if _is(file, descriptor):
            return descriptor
        os.close(descriptor)  # its holder removed it while we waited


def _is(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    except FileNotFoundError:
        return False


def holder(locked: Path) -> str:
    """The process that holds the lock of a file or directory where the kernel tells it (Linux), as ` (process 123)`."""
    try:
        inode, locks = str(locked.stat().st_ino), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in locks:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == inode:
            return f" (process {fields[4]})"
    return ""
