"""One image file: its bytes, or why there are none. Every image that is a file of its own is opened here."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from udta._files.paths import NotRegularError, opened_regular
from udta.errors import ImageError


@contextmanager
def opened_image(path: str | Path, name: str) -> Iterator[BufferedReader]:
    """A regular file, open for reading.

    Args:
        path: of the file.
        name: what errors call it, its id.

    Raises:
        ImageError: it cannot be opened or read (what is done inside of the context counts too), or is no regular file: a FIFO
            would be waited for until somebody writes into it.
    """
    try:
        with opened_regular(path) as file:
            yield file
    except NotRegularError as error:
        raise ImageError(name, f"is {_kind(error.mode)}, not a regular file") from error
    except OSError as error:
        raise ImageError(name, _reason(path, error)) from error


def read_image_file(path: str | Path, name: str) -> bytes:
    """All of its bytes; `name` is what errors call it. Raises `ImageError`: it cannot be read, or is no regular file."""
    with opened_image(path, name) as file:
        return file.read()


def hash_image_file(path: str | Path, name: str) -> str:
    """SHA-256 of its bytes, hexadecimal; `name` is what errors call it. Raises `ImageError` as reading them does."""
    with opened_image(path, name) as file:
        # In pieces: of a video that was called `.jpg` no gigabyte comes into memory.
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(path: str | Path, error: OSError) -> str:
    if error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114  # a path of any kind
        return "is a link to something that is not there"
    if error.errno == errno.ENXIO:  # opening a socket, or a FIFO that nobody writes to on some systems
        return "is a socket or a device, not a regular file"
    return f"cannot be read ({error.strerror})"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"
