"""Files of ours that are opened again: what somebody else put in their place is neither waited for nor written into."""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 20
# As in `udta._files.atomic`: no link is followed, no FIFO waited for.
_THERE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def cut(path: Path, size: int) -> BinaryIO:
    """Open for what comes next, without what came after so many bytes."""
    file = os.fdopen(os.open(path, _THERE), "r+b")
    file.truncate(size)
    file.seek(size)
    return file


def read_whole(path: Path) -> bytes:
    """Nothing where there is no such file of ours."""
    with suppress(OSError), os.fdopen(os.open(path, _THERE), "rb") as file:
        if _is_ours(file):
            return file.read()
    return b""


def crc32_of(path: Path, size: int) -> int | None:
    """Of the first bytes of a file; None where there are not so many."""
    found = 0
    with suppress(OSError), os.fdopen(os.open(path, _THERE), "rb") as file:
        while size and _is_ours(file) and (piece := file.read(min(size, _PIECE))):
            size, found = size - len(piece), zlib.crc32(piece, found)
        return None if size else found
    return None


def _is_ours(file: BinaryIO) -> bool:
    """A file by one name: what somebody else has linked there would be written into."""
    status = os.fstat(file.fileno())
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1
