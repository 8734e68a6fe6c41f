"""Decoding in child processes, where threads of one Python cannot keep up with a GPU.

Measured on 16 cores: 16 threads made 1,250 views a second, 16 processes 7,100; an extraction with ResNet-50 on an H100 did 1,080
images/s with threads and 5,700 to 6,540 with processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
import torch
from jaxtyping import UInt8

from udta._machine.children import can_share_memory
from udta._machine.cores import n_cores
from udta.errors import ImageError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort
from udta.extraction.decode._threads import ThreadDecoder
from udta.images import Manifest, OnError, ViewSpec
from udta.images.decode_process import DecodeProcess, rows_of_request

# A process starts in about half a second, in which threads make a few hundred views.
_WORTH_PROCESSES = 4096
# With fewer, Python's lock is hardly a limit: 16 threads made 1,250 views a second where one alone makes 400.
_MANY_CORES = 4


class ProcessDecoder(ThreadDecoder):
    """A child process for each thread, which only waits for its answers. Arguments as of `ThreadDecoder`."""

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        device: torch.device,
        effort: Effort,
        meter: Meter,
    ) -> None:
        chunk = rows_of_request(views)
        super().__init__(manifest, views, on_error, device=device, effort=effort, meter=meter, chunk=chunk)
        self._children = list[DecodeProcess]()
        # A child serves one thread at a time, whichever: a thread that has a chunk always finds one that is free.
        self._free: SimpleQueue[DecodeProcess] = SimpleQueue()
        # All at once and before anything is asked of them: they are ready when the backbone is.
        try:
            for _ in range(self.threads):
                self._children.append(DecodeProcess(manifest.contents, views))
                self._free.put(self._children[-1])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget chunks that no thread has taken, wait for those at work, and end the children."""
        # In this order: a thread whose child was killed would report the death of a decoder.
        super().close()
        for child in self._children:
            child.end()

    def _fill(
        self, rows: Sequence[int], which: Sequence[int], target: UInt8[np.ndarray, "views rows height width channels"]
    ) -> dict[int, str]:
        child = self._free.get()
        try:
            images = [(row, self._manifest.ids[row], self._manifest.hashes[row]) for row in rows]
            made = child.make(images, which, target)
        finally:
            self._free.put(child)
        self._meter.add({"read": made.read, "decode": made.decode})
        self._meter.note(made.notes)
        # The child goes on behind a bad image: whether one may be skipped is nothing that it has to know.
        for position, reason in made.bad.items():
            if self._on_error == "fail":
                raise ImageError(self._manifest.ids[rows[position]], reason)
        return {rows[position]: reason for position, reason in made.bad.items()}


def processes_pay(device: torch.device, threads: int | None, n_views: int) -> bool:
    """Whether to decode so many views in processes: a GPU takes more of them than threads of one Python can make."""
    many = (threads or n_cores()) >= _MANY_CORES and n_views >= _WORTH_PROCESSES
    return device.type == "cuda" and many and can_share_memory()
