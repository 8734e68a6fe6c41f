"""Files and folders that appear whole or not at all, whatever moment their writer is killed at.

Both are made under a hidden name beside the target, `.NAME.<16 hexadecimal digits>.partial`, flushed to the disk and renamed.
The name is drawn at random and opened exclusively, so that nobody can put a link there first. A living writer holds the lock of
what it makes; the next writer of the same target removes what has a free lock, this form of name, and, for a folder, our
marker inside. So nothing is removed by its age or by a pattern that a file of somebody else could fit.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from udta._files import leftovers
from udta._files.locks import lock_held

PARTIAL = ".partial"
_MARKER = ".udta-unfinished"
# O_EXCL and O_NOFOLLOW: whatever somebody put at the name, a link above all, is an error and not written through (open(2)).
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO of the right name would be waited for.
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 220  # bytes of a target's name that its temporary repeats: file systems end at 255 (path_resolution(7))


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `target` when the block ends without an error; its directory must exist.

    Permissions are those that the umask leaves of `rw-rw-rw-`. A link at `target` is replaced, not followed.

    Raises:
        OSError: `target` is there and no regular file, or cannot be written.
    """
    check_replaceable(target)
    sweep(target)
    path, descriptor = _create(target)
    leftovers.made.add(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            # Before the rename: a crash of the machine may otherwise leave the new name with nothing in it (ext4's delayed
            # allocation, https://lwn.net/Articles/322823/).
            os.fsync(descriptor)
            path.replace(target)  # while it is locked: nobody takes it for a leftover
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        leftovers.made.discard(path)


@contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends without an error.

    `target` may be an empty folder, or, with `replace`, one of ours, which is taken away first.

    Raises:
        OSError: `target` is there and something else, or cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    temporary, descriptor = _create_folder(target)
    leftovers.made.add(temporary)
    try:
        # One level down, so that marker and lock stay behind when the content is moved.
        content = temporary / "new"
        content.mkdir()
        yield content
        flush_tree(content)
        # No call exchanges two folders everywhere (rename(2) wants the old one empty): for a moment there is none under the name,
        # and who is killed in between leaves both in here.
        if replace and target.exists():
            target.rename(temporary / "old")
        content.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)
        leftovers.made.discard(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all. Missing parent directories are made.

    Raises:
        OSError: it is there and no regular file, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a text in UTF-8, whole or not at all. Missing parent directories are made."""
    write_bytes(path, content.encode())


def write_json(path: Path, document: Any) -> None:
    """Write JSON, indented for people, whole or not at all. Missing parent directories are made.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have (RFC 8259, section 6).
    """
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def open_new(path: Path) -> BinaryIO:
    """An unbuffered new file at exactly this name: one that is there already, a link too, is an error."""
    # Unbuffered: what is written are arrays, which a buffer would only copy.
    return os.fdopen(os.open(path, _NEW_FILE, 0o666), "wb", buffering=0)


def temporary_name(target: Path) -> str:
    """A new name beside a target."""
    return f".{_shortened(target.name)}.{secrets.token_hex(8)}{PARTIAL}"


def is_temporary(name: str, target: str) -> bool:
    """Whether `name` is one that a writer of a file called `target` would give its temporary."""
    return re.fullmatch(rf"\.{re.escape(_shortened(target))}\.[0-9a-f]{{16}}{re.escape(PARTIAL)}", name) is not None


def sweep(target: Path) -> None:
    """Remove what killed writers of `target` left beside it."""
    with suppress(FileNotFoundError), os.scandir(target.parent) as entries:
        found = [Path(entry.path) for entry in entries if is_temporary(entry.name, target.name)]
        for path in found:
            _remove_if_abandoned(path)


def flush_tree(folder: Path) -> None:
    """Have the disk hold every file and name below a folder."""
    # Names too: a file whose folder was not flushed may be nameless after a crash of the machine (fsync(2)).
    for path in [*(path for path in folder.rglob("*") if not path.is_symlink()), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _create(target: Path) -> tuple[Path, int]:
    while True:
        path = target.with_name(temporary_name(target))
        descriptor = os.open(path, _NEW_FILE, 0o666)
        _lock(descriptor)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # taken for a leftover, and removed, before it was locked


def _create_folder(target: Path) -> tuple[Path, int]:
    while True:
        path = target.with_name(temporary_name(target))
        path.mkdir()
        with suppress(FileNotFoundError):  # taken for a leftover, and removed, before it was locked
            descriptor = os.open(path, _LOOK | os.O_DIRECTORY)
            _lock(descriptor)
            try:
                open_new(path / _MARKER).close()
            except BaseException:
                os.close(descriptor)
                raise
            return path, descriptor


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # a file system without locks, where nothing is ever taken for abandoned
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _remove_if_abandoned(path: Path) -> None:
    """The kernel let go of the lock when the writer died; a folder must be empty or carry the marker."""
    try:
        descriptor = os.open(path, _LOOK)
    except OSError:  # gone, a link, or not ours to read
        return
    try:
        kind = os.fstat(descriptor).st_mode
        if not lock_held(descriptor):
            return
        with suppress(OSError):
            if stat.S_ISREG(kind):
                path.unlink()
            elif (path / _MARKER).is_file():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rmdir()
    finally:
        os.close(descriptor)


def check_replaceable(target: Path) -> None:
    """Raises `OSError` where something other than a regular file is there.

    To rename over a device such as /dev/stdout would take it away from everybody.
    """
    try:
        kind = target.stat().st_mode
    except OSError:
        return
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "is there and no regular file", str(target))


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_LONGEST])
