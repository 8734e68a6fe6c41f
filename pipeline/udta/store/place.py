"""Directories that appear, change places and disappear in one step, whatever moment a process is killed at."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import cast

from udta.errors import ConfigError, StoreError
from udta.store.lock import DirectoryLock

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


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


def is_local(path: Path) -> bool:
    """Whether its files can be mapped and locked."""
    return isinstance(path, PosixPath)


def is_vacant(path: Path) -> bool:
    """Nothing there, or an empty directory."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def growing_path(path: Path) -> Path:
    """Where the successor of a growing store is built."""
    return path.with_name(f".{path.name}.growing")


def claims_path(path: Path) -> Path:
    """Where processes that write one store claim their blocks."""
    return path.with_name(f".{path.name}.claims")


def report_path(path: Path) -> Path:
    """What the extractions that made a store took; for people and cost figures, it decides nothing."""
    return path.with_name(f"{path.name}.report.json")


def create_beside(path: Path, fill: Callable[[Path], None]) -> DirectoryLock | None:
    """Make a directory with content under a temporary name, then give it its own.

    Returns:
        The lock on it, or None when somebody else's was there first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_skeletons(path)
    skeleton = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    lock = DirectoryLock(skeleton)
    try:
        skeleton.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        fill(skeleton)
        skeleton.rename(path)
    except BaseException:
        shutil.rmtree(skeleton, ignore_errors=True)
        lock.release()
        if not is_vacant(path):
            return None
        raise
    lock.directory = path
    return lock


def move_aside(path: Path) -> Callable[[], None]:
    """Take a directory away from its name; the function returned removes it."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    path.rename(aside / "stale")
    return lambda: shutil.rmtree(aside)


def exchange(new: Path, old: Path) -> None:
    """Two directories change names: in one step on Linux, elsewhere in two that `StoreWriter` can finish after a kill."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 and not renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE):
        return
    remove = move_aside(old)
    new.rename(old)
    remove()


def sweep_skeletons(path: Path) -> None:
    """Remove skeletons of this store that killed writers left; a living writer holds the lock of its own."""
    for leftover in path.parent.glob(f".{path.name}.*.new"):
        try:
            lock = DirectoryLock(leftover, patience_s=0)
        except StoreError:
            continue
        shutil.rmtree(leftover, ignore_errors=True)
        lock.release()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
