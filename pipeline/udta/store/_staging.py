"""The folder beside a store in which its one writer works: `.<name>.udta`.

Here lie the lock, a new store until it is whole, the successor of one that grows, the claims of worker processes, and what is
about to be removed. All of it is ours, because the lock file says so and nothing else is looked for: what lies beside the store
under any other name is somebody else's. The folder goes when the writer does, unless an unfinished growth is to be continued.

Two directories change places in one step where the kernel can. Elsewhere it takes two, and an *intent* is written before: so
after a kill a missing store is told from one that its owner removed, whose half-made successor must not take its name.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from udta._files.atomic import write_json
from udta.errors import StoreError
from udta.store._block_files import flush_all
from udta.store._directory import Directory, is_absent_or_empty, is_local
from udta.store._folder_lock import FolderLock, is_locked

# Of renameat2(2), which Python does not have: Linux 3.15, and not on every file system (NFS, some overlays).
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def staging_folder(store: Path) -> Path:
    """The folder that belongs to the store at `store`."""
    return store.with_name(f".{store.name}.udta")


def is_being_written(store: Path) -> bool:
    """Whether a writer holds the store just now."""
    return is_local(store) and is_locked(staging_folder(store.resolve()))


class Staging:
    """The staging folder of a store, held by one process from construction to `release`.

    Args:
        store: no symbolic link, see `Path.resolve`; it need not be there. Its parent is made.
        patience_s: how long to wait for another writer.

    Attributes:
        growing: where the successor of the store is built.

    Raises:
        StoreBusyError: another process writes the store.
        StoreError: see `FolderLock`; or what an interrupted exchange left does not fit together.
        OSError: nothing can be written beside the store.
    """

    def __init__(self, store: Path, patience_s: float | None = None) -> None:
        self.store, folder = store, staging_folder(store)
        self.growing, self._new, self._old = folder / "growing", folder / "new", folder / "old"
        self._claims, self._intent = folder / "claims", folder / "intent.json"
        store.parent.mkdir(parents=True, exist_ok=True)
        # The name in it tells the folder of `a.zarr` from one that was copied here together with another store.
        marker = json.dumps({"udta": "the folder that a writer of the store works in", "store": store.name}) + "\n"
        self._lock = FolderLock(folder, store, marker.encode(), patience_s)
        try:
            self._recover()
        except BaseException:
            self._lock.release()
            raise

    @property
    def descriptor(self) -> int:
        """Of the lock; a child process that has it keeps other writers out for as long as it lives."""
        return self._lock.descriptor

    def release(self) -> None:
        """Let the next writer in."""
        self._clear()
        self._lock.release()

    def create(self, fill: Callable[[Path], None]) -> None:
        """A new store appears under its name when `fill` has written it.

        Raises:
            OSError: the name was taken meanwhile.
        """
        self._build(fill).rename(self.store)  # fails where the name was taken, unless by an empty folder
        flush_all([self.store.parent])  # the name; its files were flushed when they were written

    def replace(self, fill: Callable[[Path], None], predecessor: Directory) -> None:
        """A new store takes the place of the one that is there."""
        self._install(self._build(fill), predecessor)

    def begin_growth(self, fill: Callable[[Path], None]) -> None:
        """`growing` appears when `fill` has written it; what was there is removed."""
        self.forget_growth()
        self._build(fill).rename(self.growing)

    def forget_growth(self) -> None:
        """Remove a successor that is not wanted."""
        self._discard(self.growing)

    def finish_growth(self, predecessor: Directory) -> None:
        """The successor takes the place of the store that it was made from.

        Raises:
            StoreError: another one lies there by now; it is left as it is.
            OSError: they cannot change places; the store has its name still, or again.
        """
        self._install(self.growing, predecessor)

    def remove_store(self) -> None:
        """Away from its name first, which never stands for a half-removed store."""
        self._discard(self.store)

    def claims(self) -> Path:
        """An empty folder for the claims of worker processes."""
        _remove(self._claims)
        self._claims.mkdir()
        return self._claims

    def _build(self, fill: Callable[[Path], None]) -> Path:
        _remove(self._new)
        self._new.mkdir()
        fill(self._new)
        return self._new

    def _discard(self, folder: Path) -> None:
        """Remove a store that is ours."""
        # Away from its name first: a half-removed store has records of blocks that are gone, and would be continued.
        _remove(self._old)
        if self._old.exists():
            raise OSError(errno.ENOTEMPTY, "it cannot be removed", str(self._old))
        if folder.exists():
            folder.rename(self._old)
            _remove(self._old)

    def _install(self, successor: Path, predecessor: Directory) -> None:
        if is_absent_or_empty(self.store):  # removed by hand since
            successor.rename(self.store)
        elif predecessor.replaced:  # which our lock beside it cannot hinder: `rm` and `mv` know no locks
            raise StoreError(
                f"{self.store} was replaced by something else while its successor was made; it was left as it is"
            )
        elif not exchange_in_one_step(successor, self.store):
            self._exchange_in_two_steps(successor)
        flush_all([self.store.parent])
        self._discard(successor)  # the old store, if they changed places in one step

    def _exchange_in_two_steps(self, successor: Path) -> None:
        """Where it fails, the store has its name again; where it is killed, `_recover` goes on."""
        self._discard(self._old)
        # Before the first step: between the two there is no store of this name, as where its owner removed it.
        write_json(self._intent, {"decided": f"the store goes to {self._old.name}, {successor.name} gets its name"})
        try:
            self.store.rename(self._old)
            self._take_name(successor)
        finally:
            self._intent.unlink()

    def _take_name(self, successor: Path) -> None:
        try:
            successor.rename(self.store)
        except BaseException:  # Ctrl-C too: the good store has its name again
            self._old.rename(self.store)
            raise

    def _recover(self) -> None:
        """Finish what a killed writer had decided, forget what it had not."""
        gone = is_absent_or_empty(self.store)
        if self._intent.exists() and self._old.exists():
            successor = next((folder for folder in (self.growing, self._new) if folder.exists()), None)
            # Both there: killed between the steps. No successor: killed after them, before the intent was removed.
            if successor is not None and not gone:
                raise StoreError(
                    f"{self.store} was not put there by udta, which was killed while the store of this name grew; move it away, "
                    f"or remove {self._intent.parent}"
                )
            if successor is not None:
                self._take_name(successor)
                gone = False
        if gone:  # its owner removed the store, so he wants no half-made successor of it under its name
            self.forget_growth()
        self._intent.unlink(missing_ok=True)
        self._clear()

    def _clear(self) -> None:
        for leftover in (self._new, self._old, self._claims):
            _remove(leftover)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(
            folder, ignore_errors=True
        )  # what NFS keeps as `.nfs...` while a reader has it open; next time, then


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
