"""Which process computes which block: several writers of one store take blocks that the ledger does not have yet.

A claim is an `flock` on a small file beside the store, which the kernel drops when its holder dies; a block is looked up in the
ledger again once it is claimed. So a block is computed by one process at a time, every one is computed by somebody as long as
anybody lives, and nothing has to be told or cleaned up after a kill.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from udta.store._block_writer import BlockWriter


class Claims:
    """Iterates over blocks of `writer` that are neither committed nor claimed by another; `release` them once committed.

    One iteration goes over the missing blocks once: blocks that others hold then are theirs, unless they die.
    """

    def __init__(self, folder: Path, writer: BlockWriter) -> None:
        self._folder, self._writer = folder, writer
        self._held: dict[int, int] = {}

    def __iter__(self) -> Iterator[int]:
        self._writer.refresh()
        # Lazily, one at a time: a process that claimed all at once would leave nothing to the others.
        for block in self._writer.missing:
            if block not in self._held and self._take(block):
                yield block

    def release(self, block: int) -> None:
        """Let go of a block."""
        os.close(self._held.pop(block))

    def _take(self, block: int) -> bool:
        # A file of its own for each, not a range of one: range locks (fcntl) belong to the process and drop with any close.
        descriptor = os.open(self._folder / f"{block:06d}", os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        # Again under the claim: its holder may have committed and released it since we looked, and it would be computed twice.
        if self._writer.is_committed(block):
            os.close(descriptor)
            return False
        self._held[block] = descriptor
        return True
