"""What a loader yields, and the buffers that it is read into."""

from __future__ import annotations

import math
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch: features by tap (`[batch, ...]`, or `[batch, views, ...]` for several views), class indices, store rows."""

    taps: Mapping[str, Float[Tensor, "batch ..."]]
    labels: Int64[Tensor, " batch"]
    rows: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.rows)

    def flat(self) -> Batch:
        """A batch of several views with each view as a sample of its own, the views of a row next to each other."""
        n_views = next(iter(self.taps.values())).shape[1]
        return Batch(
            {tap: values.flatten(0, 1) for tap, values in self.taps.items()},
            self.labels.repeat_interleave(n_views),
            self.rows.repeat_interleave(n_views),
        )


class BufferPool:
    """Memory that is used again once nobody looks at it any more.

    Fresh memory costs a page fault for every 4 KB, as much as the copy itself; a fixed ring would overwrite batches that the
    user keeps. So a buffer is taken again only when no array and no tensor refers to it.
    """

    def __init__(self, pinned: bool = False) -> None:
        self._pinned, self._lock = pinned, threading.Lock()
        self._buffers: dict[int, list[np.ndarray]] = defaultdict(list)

    def get(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        n_bytes = math.prod(shape) * dtype.itemsize
        with self._lock:
            buffer = self._free(n_bytes)
            return buffer[:n_bytes].view(dtype).reshape(shape)

    def _free(self, n_bytes: int) -> np.ndarray:
        size = 1 << max(n_bytes - 1, 4095).bit_length()  # so that a last, shorter batch finds one too
        for buffer in self._buffers[size]:
            if sys.getrefcount(buffer) == 3:  # the list's, this variable's and the call's own
                return buffer
        memory = torch.empty(size, dtype=torch.uint8, pin_memory=self._pinned)
        self._buffers[size].append(memory.numpy())
        return self._buffers[size][-1]
