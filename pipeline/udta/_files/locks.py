"""One writer an output: a second process that would write the same file or folder is refused, and told who has it.

The lock is an advisory `flock` on a hidden empty file beside the output, which the kernel drops when its holder dies. It lies
outside of what it protects, so that an output may be replaced as a whole while it is held. The file is removed on release; what
a kill leaves of it is taken over, and removed, by the next writer of the same output.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from udta._files import leftovers
from udta._files.paths import is_url
from udta.errors import OutputBusyError

P = ParamSpec("P")
T = TypeVar("T")

# A stage whose `dvc` was killed needs a moment to die: wait for it rather than fail.
PATIENCE_S = 5.0
_POLL_S = 0.05
# Opened for writing, since NFS locks nothing else (flock(2)); a link in its way is not followed, a FIFO not waited for.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def one_writer_of(*arguments: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The function runs as the one writer of the outputs that these keyword arguments name.

    What is no path is passed over, and so is a URL, which the function refuses together with all else that is wrong.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def alone(*args: P.args, **kwargs: P.kwargs) -> T:
            values = [kwargs.get(argument) for argument in arguments]
            given = [str(value) for value in values if isinstance(value, str | Path)]
            with one_writer(*(Path(output) for output in given if not is_url(output))):
                return function(*args, **kwargs)

        return alone

    return decorate


@contextmanager
def one_writer(*outputs: Path, patience_s: float | None = None) -> Iterator[None]:
    """Hold the locks of files or folders that shall be written. Parent directories are made; those that stay empty go again.

    Raises:
        OutputBusyError: another process, or another call in this one, is writing one of them.
        OSError: there can be no such output.
    """
    deadline = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    # In one order everywhere, and each once: two writers of the same outputs never wait for each other.
    paths = sorted({Path(os.path.abspath(output)) for output in outputs})  # noqa: PTH100  # `resolve` would follow links
    held: list[tuple[Path, int]] = []
    made: list[Path] = []
    try:
        for path in paths:
            made += [parent for parent in path.parents if not parent.exists()]
            held.append((lock_path(path), _acquire(path, deadline)))
            leftovers.made.add(lock_path(path))
        yield
    finally:
        for file, descriptor in reversed(held):
            # Before it is let go of: removed afterwards, it could be the lock that the next writer has taken already.
            file.unlink(missing_ok=True)
            leftovers.made.discard(file)
            os.close(descriptor)
        for folder in sorted(made, reverse=True):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def lock_path(output: Path) -> Path:
    """The file whose lock stands for an output."""
    return output.with_name(f".{output.name}.lock")


def locked(file: Path, opened: Callable[[], int], deadline: float) -> int:
    """The descriptor of a file, with its exclusive lock, which holds until it is closed.

    Args:
        file: whose holder may remove it before it lets go of the lock.
        opened: opens it, or makes it; called again for every try.
        deadline: of `time.monotonic`, until which another holder is waited for.

    Raises:
        BlockingIOError: another holds it still.
        OSError: the file system has no locks; what `opened` raises.
    """
    while True:
        descriptor = opened()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError) or time.monotonic() >= deadline:
                raise
            # Polled: flock(2) that waits can only be given up by a signal, which a library has none to spare of.
            time.sleep(_POLL_S)
            continue
        if _is(file, descriptor):
            return descriptor
        # Its holder removed it while we waited: this is the lock of a file that nobody else will ever open.
        os.close(descriptor)


def lock_held(descriptor: int) -> bool:
    """Try to take the exclusive lock of an open file; False when another holds it, or the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def holder(locked: Path) -> str:
    """The process that holds the lock of a file or directory where the kernel tells it (Linux), as ` (process 123)`."""
    try:
        inode, locks = str(locked.stat().st_ino), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in locks:
        fields = line.split()
        # `1: FLOCK  ADVISORY  WRITE 123 fd:00:4711 0 EOF`, proc_locks(5): the process, and the inode behind the device.
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == inode:
            return f" (process {fields[4]})"
    return ""


def _acquire(output: Path, deadline: float) -> int:
    file = lock_path(output)

    def opened() -> int:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            return os.open(file, _FLAGS, 0o666)
        except OSError as error:
            if isinstance(
                error, FileExistsError | NotADirectoryError
            ):  # of `mkdir`: "File exists", or "Not a directory"
                wrong = next(folder for folder in output.parents if folder.exists())
                raise NotADirectoryError(
                    error.errno, "is a file, nothing can be written below it", str(wrong)
                ) from error
            raise OSError(error.errno, error.strerror, str(output)) from error  # the user knows of no lock

    try:
        return locked(file, opened, deadline)
    except BlockingIOError:
        raise OutputBusyError(
            f"{output} is being written by another process{holder(file)}; wait for it or stop it"
        ) from None
    except OSError:  # a file system without locks: nothing can be known; what cannot be opened says so once more
        return opened()


def _is(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    except FileNotFoundError:
        return False
