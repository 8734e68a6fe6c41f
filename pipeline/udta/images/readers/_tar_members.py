"""The members of a tar archive and where in it their bytes are: headers are read, and what lies between is passed over.

Python's `tarfile` reads a header that is damaged, anywhere but at the beginning, as the end of the archive. Half a shard would
be a whole one then, so that here an archive ends with the mark that tar(5) asks for, or in an error.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

from udta.errors import DataError

_BLOCK = tarfile.BLOCKSIZE  # 512 bytes: of headers, of zeros at the end, and what members are filled up to
# RecursionError: a long name of a long name of a long name, some hundred times.
_DAMAGE = (tarfile.TarError, ArithmeticError, LookupError, ValueError, RecursionError)


@dataclass(frozen=True)
class Member:
    """A regular file in an archive; `name` is data and leads nowhere."""

    name: str
    offset: int
    size: int


def tar_members(file: BufferedReader, path: str) -> Iterator[Member]:
    """The regular files of an archive in their order; links, folders and devices are passed over.

    Args:
        file: the archive.
        path: what errors call it.

    Raises:
        DataError: it is no tar archive, is compressed, damaged, or cut off.
    """
    n_bytes, before = os.fstat(file.fileno()).st_size, -1
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            while found := archive.next():
                # It keeps every header for a look-up by name: 100 MB for 100,000 members.
                archive.members.clear()  # type: ignore[attr-defined]  # the typeshed lacks it; WebDataset does the same
                end = found.offset_data + found.size
                # Of a size below zero, releases of Python before August 2025 read the same header for ever (CVE-2025-8194).
                if found.offset <= before or found.size < 0 or end > n_bytes:
                    raise DataError(f"{path} is damaged or cut off at its member {found.name!r}")
                before = found.offset
                if found.isreg() and not found.issparse():
                    yield Member(found.name, found.offset_data, found.size)
            after = os.pread(file.fileno(), _BLOCK, archive.offset)
    except _DAMAGE as error:
        raise DataError(
            f"{path} is damaged, or no tar archive without compression ({error or type(error).__name__}); a compressed one has "
            "to be uncompressed first, since images are read in place"
        ) from error
    if after != bytes(_BLOCK):
        what = "has a damaged header" if len(after) == _BLOCK else "ends without the mark of its end: it was cut off"
        raise DataError(f"{path} {what} (byte {archive.offset:,})")
