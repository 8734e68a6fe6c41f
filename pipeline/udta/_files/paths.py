"""What a path leads to: a URL or a local place, a regular file or something that is waited for."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PosixPath

from udta.errors import ConfigError

# `s3://bucket/x`, and what `pathlib` makes of it: `s3:/bucket/x`.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL."""
    return _URL.match(str(path)) is not None


def local_path(what: str, path: str | Path) -> Path:
    """A path that can be written to; `what` names the argument.

    Raises:
        ConfigError: it is a URL: it would become a local folder called `s3:`.
    """
    if is_url(path):
        raise ConfigError(
            f"{what} is {str(path)!r}, a URL: only local paths can be written to; write to one and copy it there afterwards"
        )
    return Path(path)


class NotRegularError(OSError):
    """What was opened is no regular file; `mode` (stat(2)) says what it is."""

    def __init__(self, path: str | Path, mode: int) -> None:
        super().__init__(errno.EINVAL, "not a regular file", str(path))
        self.mode = mode


@contextmanager
def opened_regular(path: str | Path) -> Iterator[BufferedReader]:
    """A regular local file, open for reading; links are followed.

    Raises:
        NotRegularError: it is none: reading a FIFO would wait until somebody writes into it, a device may have no end.
        OSError: it cannot be opened.
    """
    # O_NONBLOCK means nothing to a regular file, and opens a FIFO at once (open(2)); a socket is refused here with ENXIO. Looked
    # at after it is open, since what a path leads to may change between a look and an opening.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegularError(path, mode)
        yield file


def read_regular(path: Path) -> bytes:
    """What a regular file holds; a path-like object behind a URL is asked for its bytes.

    Raises:
        OSError: it is not there, is no regular file, or cannot be read.
    """
    if not isinstance(path, PosixPath):  # a path of universal-pathlib: an object store holds nothing but regular files
        return path.read_bytes()
    with opened_regular(path) as file:
        return file.read()


def file_sha256(path: Path) -> str:
    """Of what is in a file, read a part at a time. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
