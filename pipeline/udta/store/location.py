"""Where a store is: a path or a URL, vacant or not, and how two directories change places."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import cast

from udta.errors import ConfigError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def place_of(path: str | Path) -> Path:
    """A local path, or a path-like object for a URL such as `s3://bucket/store`.

    Raises:
        ConfigError: it is a URL, and universal-pathlib is not installed.
    """
    if "://" not in str(path):
        return Path(path)
    try:
        from upath import UPath
    except ImportError as error:
        raise ConfigError(f"{path} is a URL; reading it needs more packages: pip install 'udta[s3]'") from error
    return cast(Path, UPath(path))  # it has the methods, but is no subclass


def is_vacant(path: Path) -> bool:
    """Nothing there, or an empty directory."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def exchange_in_one_step(one: Path, other: Path) -> bool:
    """Two directories change names; False, and nothing has happened, where kernel or file system cannot.

    Raises:
        OSError: they can, but it failed; nothing has happened.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if not renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
