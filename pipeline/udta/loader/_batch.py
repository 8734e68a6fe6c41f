"""What a loader yields, and the buffers that it is read into."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch: features by tap (`[batch, ...]`, or `[batch, views, ...]` for several views), labels, store rows."""

    taps: Mapping[str, Float[Tensor, "batch ..."]]
    labels: Num[Tensor, "batch ..."]
    rows: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.rows)

    def flat(self) -> Batch:
        """A batch of several views with each view as a sample of its own, the views of a row next to each other."""
        n_views = next(iter(self.taps.values())).shape[1]
        return Batch(
            {tap: values.flatten(0, 1) for tap, values in self.taps.items()},
            self.labels.repeat_interleave(n_views, dim=0),
            self.rows.repeat_interleave(n_views),
        )


class BufferPool:
    """Memory that is used again once nobody looks at it any more.

    Fresh memory costs a page fault for every 4 KB, as much as the copy itself; a fixed ring would overwrite batches that the
    user keeps. So each piece is lent: every array and every tensor that looks at any part of what `get` returned, in whatever way
    it was made of it, keeps the array below it alive, and with the end of that one the memory comes back. To count references
    would be a guess about the interpreter: Python 3.14 counts fewer of them.
    """

    def __init__(self, pinned: bool = False) -> None:
        self._pinned = pinned
        self._free: dict[int, list[np.ndarray]] = {}

    def get(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        n_bytes = math.prod(shape) * dtype.itemsize
        size = 1 << max(n_bytes - 1, 4095).bit_length()  # so that a last, shorter batch finds one too
        free = self._free.setdefault(size, [])
        try:
            # No lock, here as in `append`: memory may come back in the middle of anything, when garbage is collected.
            memory = free.pop()
        except IndexError:
            memory = torch.empty(size, dtype=torch.uint8, pin_memory=self._pinned).numpy()
        # Of a memoryview and not of the array: NumPy refers views of views to the last array below them that looks at another
        # array, which is this one.
        lent = np.frombuffer(memory.data, dtype=np.uint8, count=n_bytes)
        weakref.finalize(lent, free.append, memory).atexit = False
        return lent.view(dtype).reshape(shape)
