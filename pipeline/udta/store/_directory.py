"""A directory that is held: what is read below it belongs to one store, whoever takes its name meanwhile.

A store that grows or is replaced changes places with its successor. A reader that opened it before and then opened further files
by path got the features of other images, silently: 72 of 184 rows of an epoch that had begun before a growth. So a descriptor of
the directory is kept, and files are opened below that (`/proc/self/fd/N/...`). Where a system has no such paths, they are opened
by name and `confirm` looks afterwards whether the name still means the directory: if so, it did when they were opened. Whatever
of an old generation is not there any more raises `StoreReplacedError` instead of `CorruptStoreError`.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path, PosixPath
from typing import Self, cast

from udta.errors import ConfigError, CorruptStoreError, StoreError, StoreReplacedError

DESCRIPTORS = Path("/proc/self/fd")


def store_path(path: str | Path) -> Path:
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
    # UPath has the methods of a path, but is no subclass of it for URLs.
    return cast(Path, UPath(path))


def is_absent_or_empty(path: Path) -> bool:
    """Nothing there, or an empty directory."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def is_local(path: Path) -> bool:
    """Whether its files can be mapped and locked."""
    return isinstance(path, PosixPath)  # what `store_path` makes of a URL is none


def stored_bytes(path: Path) -> int:
    """Size of every file below a directory."""
    # Not what the disk has set aside for them: `du` counts blocks of the file system, which other machines have in other sizes.
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class Directory:
    """A directory by its path alone; `held` gives one that stays the same under any name.

    Attributes:
        path: as the user calls it.
        root: where its files are opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = self.root = path
        # One of the two tells whether the name still means this directory: local ones have a descriptor, others a witness.
        self._descriptor: int | None = None
        self._witness: tuple[Path, bytes] | None = None

    @classmethod
    def held(cls, path: Path) -> Self:
        """Raises `OSError` when there is no directory; one behind a URL has no descriptor and is read by its name."""
        directory = cls(path)
        if not is_local(path):
            return directory
        directory._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        # Not at interpreter exit: a reading thread may still open files below it.
        weakref.finalize(directory, os.close, directory._descriptor).atexit = False
        below = DESCRIPTORS / str(directory._descriptor)
        if below.is_dir():  # Linux with /proc; elsewhere by name, and `confirm` looks afterwards
            directory.root = below
        return directory

    @property
    def replaced(self) -> bool:
        """Whether the name stands for another directory by now, or for none."""
        if self._witness is not None:
            return _content(self._witness[0]) != self._witness[1]
        if self._descriptor is None:
            return False
        try:
            # Device and inode: they are not used again while the descriptor is open, so equal ones are the same directory.
            return not os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return True

    def watch(self, file: Path, content: bytes) -> None:
        """What tells another directory where there is no descriptor, behind a URL: this file has another content then."""
        if self._descriptor is None:
            self._witness = file, content

    def confirm(self) -> None:
        """After files were opened below `root`: raises `StoreReplacedError` if they may be those of another store."""
        # Below a descriptor they cannot be. Behind a URL it would be a request more for every chunk, whose checksum tells too.
        if self._witness is None and self.root == self.path:
            self.check_named()

    def check_named(self) -> None:
        """Raises `StoreReplacedError` if another store has the name by now, or none."""
        if self.replaced:
            raise self._replaced_error()

    def shown(self, file: Path) -> Path:
        """What errors call a file below `root`."""
        return self.path / file.relative_to(self.root)

    def damage(self, file: Path, what: str) -> StoreError:
        """The error for a file of a committed block that is not as it was, see `error`."""
        return self.error(
            f"{self.shown(file)}: the file of a committed block {what}; `udta verify --repair` drops such blocks"
        )

    def error(self, damage: str) -> StoreError:
        """`CorruptStoreError`, unless another store has the name: then it is no damage that files are not there."""
        return self._replaced_error() if self.replaced else CorruptStoreError(damage)

    def _replaced_error(self) -> StoreReplacedError:
        return StoreReplacedError(
            f"{self.path} was grown, replaced or removed while it was open; what this reader has not opened yet of the old "
            "store is gone, open it again"
        )


def check_files(directory: Directory) -> None:
    """Refuses a store in which anything is neither a directory nor a regular file; a store behind a URL has nothing else.

    Raises:
        CorruptStoreError: a link, a pipe, a device or a socket.
    """
    if not is_local(directory.root):
        return
    folders = [os.fspath(directory.root)]  # a list instead of recursion: a stranger decides how deep it goes
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    # By the type that the listing has with it (`d_type`), without a call for each of many thousand chunks.
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        file = directory.shown(Path(entry.path))
                        what = "a link" if entry.is_symlink() else "no regular file"
                        raise CorruptStoreError(
                            f"{file} is {what}, which a store does not have: it is made of regular files of its own; "
                            "copy it with `cp -rL` if you trust where it leads"
                        )
        except (FileNotFoundError, NotADirectoryError):  # taken away meanwhile, as temporaries are
            continue


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
