"""Pieces of large files, each of which is opened once for all the threads and pieces that follow each other."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import ExitStack
from typing import Any

from udta._files.paths import opened_regular

# Rows are read in order, by threads that are a few batches apart: they are in one file, or in two where one ends.
_KEPT = 8


class OpenFiles:
    """The files read last, open; to another process it goes without any. The least recently used is closed for a ninth."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return (OpenFiles, ())

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Bytes of a regular file.

        Raises:
            OSError: it cannot be read.
            EOFError: it ends before that.
        """
        # A name for the file, not its descriptor alone: one that another thread puts out of the list meanwhile would be
        # closed, and its number be that of another file.
        file = self._opened(path)
        content = os.pread(file.descriptor, size, offset)
        if len(content) < size:
            raise EOFError(path)
        return content

    def _opened(self, path: str) -> _OpenFile:
        with self._lock:
            found = self._files.get(path)
            if found is None:
                found = self._files[path] = _OpenFile(path)
            self._files.move_to_end(path)
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
            return found


class _OpenFile:
    """Open until nobody has it any more."""

    def __init__(self, path: str) -> None:
        self._opened = ExitStack()
        self.descriptor = self._opened.enter_context(opened_regular(path)).fileno()

    def __del__(self) -> None:
        self._opened.close()
