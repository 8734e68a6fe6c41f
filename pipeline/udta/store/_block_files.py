"""Writing the big files of a block: in threads, under a temporary name, and on the disk before the ledger says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from udta._files.atomic import open_new, temporary_name

_T = TypeVar("_T")

# Writing is waiting for the kernel and the disk, not computing: four at a time reach 1.6 times one (fsync included, 2 cores).
_THREADS = 4
_COPY_BYTES = 1 << 22


def write_parts(files: Sequence[tuple[Path, Sequence[np.ndarray]]]) -> None:
    """Write each file from the bytes of some C-contiguous arrays, one after another, and rename it into place."""
    for_each(_write_file, files)


def flush_all(paths: Iterable[Path]) -> None:
    """Have the disk hold files (or the names in directories) before anything else is written."""
    for_each(_flush, list(paths))


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link where the file system can, a flushed copy elsewhere; an unfinished copy never has the name."""
    try:
        os.link(source, target)
    except FileExistsError:  # of a growth that was killed before its record
        target.unlink()
        link_or_copy(source, target)
    except OSError:  # no hard links here (exFAT, some mounts), or as many as there can be of one file
        temporary = target.with_name(temporary_name(target))
        with source.open("rb") as original, open_new(temporary) as copy:
            shutil.copyfileobj(original, copy, _COPY_BYTES)
            os.fsync(copy.fileno())
        temporary.replace(target)


def for_each(do: Callable[[_T], None], things: Sequence[_T]) -> None:
    """All of them are done when this returns or raises."""
    if len(things) == 1:
        do(things[0])
        return
    # `wait` before any error is raised: else a thread might still write a file that the caller cleans up.
    begun = [_pool(os.getpid()).submit(do, thing) for thing in things]
    wait(begun)
    for each in begun:
        each.result()


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    """Of this process, since a fork has no thread of its parent's."""
    # Kept: starting threads for each block of averages took longer than all else of its commit where other threads were busy
    # (24 ms a block instead of 5).
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="udta-files")


def _write_file(file: tuple[Path, Sequence[np.ndarray]]) -> None:
    path, parts = file
    temporary = path.with_name(temporary_name(path))
    try:
        with open_new(temporary) as output:
            for part in parts:
                view = part.reshape(-1).view(np.uint8).data
                while view:  # one call of write(2) takes 2 GB at most
                    view = view[output.write(view) :]
        # Renamed before it is flushed, which `flush_all` does for all files of a block at a time: until then no record names it.
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)  # fsync(2) of a folder wants one that is open for reading
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
