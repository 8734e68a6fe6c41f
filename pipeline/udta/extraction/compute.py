"""From batches of views to batches of stored features: several forward passes at a time, in an order that does not matter.

On a CPU every forward pass runs on one core and there are as many at a time as cores: two passes of one thread each are as fast
as one pass of two threads on a quiet machine and up to twice as fast on a busy one (measured, ResNet-50 and MobileNetV2), since
none waits for another at a barrier; and how many there are cannot change a bit. On a GPU a few threads, each with a stream and a
recorded pass of its own, copy, compute and copy back at the same time. One view of one batch is a pass: a batch has the same rows
in it whatever the number of views.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from udta._machine.cores import n_cores, one_thread_each
from udta._machine.memory import freed_memory_kept
from udta.backbones import Replay, TapForward
from udta.errors import FeatureError
from udta.extraction.decode.batches import ViewBatch
from udta.extraction.meter import Meter
from udta.fingerprint import TapSpec
from udta.images import OnError
from udta.store import BATCH_ROWS, Quantiser, stored_dtype

# One stream computes while another copies; a third hides the time that Python takes to launch.
_STREAMS = 3

Forward = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class FeatureBatch:
    """Rows with their features as stored, `[rows, views, *tap.shape]` by tap; `clipped` counts by row and view for uint8 taps."""

    rows: Sequence[int]
    features: Mapping[str, np.ndarray]
    clipped: Mapping[str, np.ndarray]
    skipped: dict[int, str]

    def __len__(self) -> int:
        return len(self.rows)


class Computer:
    """Computes batches with one backbone, several passes at a time.

    Args:
        forward: of the taps that are wanted.
        taps: the same taps.
        quantisers: of uint8 taps, by name.
        ids: what errors call a row.
        threads: forward passes at a time; one for each core by default, three on a GPU.
        meter: counts forward passes.
        turns: what a pass on a CPU takes while it computes, where several computers share the cores.
        on_error: what a sample does whose uint8 tap is NaN or infinite.
    """

    def __init__(
        self,
        forward: TapForward,
        taps: Sequence[TapSpec],
        quantisers: Mapping[str, Quantiser],
        ids: Sequence[str],
        *,
        threads: int | None = None,
        meter: Meter | None = None,
        turns: AbstractContextManager[object] | None = None,
        on_error: OnError = "fail",
    ) -> None:
        self._forward, self._taps, self._ids, self._meter = forward, tuple(taps), ids, meter or Meter()
        self._quantisers = {tap.name: quantisers[tap.name] for tap in taps if tap.name in quantisers}
        self.on_gpu = forward.device.type == "cuda"
        self.threads = _STREAMS if self.on_gpu else threads or n_cores()
        self._turns = nullcontext() if turns is None or self.on_gpu else turns
        self._of_thread, self._on_error = threading.local(), on_error

    def batches(self, decoded: Iterator[ViewBatch]) -> Generator[FeatureBatch, None, None]:
        """The features of every batch, in order; a bounded number of batches is computed ahead.

        Raises:
            FeatureError: a uint8 tap of a sample is NaN or infinite, and `on_error` is `fail`. What `decoded` raises.
        """
        pending: deque[tuple[FeatureBatch, list[Future[None]]]] = deque()
        initialise = None if self.on_gpu else one_thread_each
        with (
            freed_memory_kept(self._forward.device.type),
            ThreadPoolExecutor(self.threads, "udta-forward", initialise) as pool,
        ):
            try:
                for views in decoded:
                    batch, n_views = self._empty(views), len(views.images)
                    passes = [pool.submit(self._compute, views, view, batch) for view in range(n_views)]
                    pending.append((batch, passes))
                    # So many that no thread waits while the caller stores the oldest.
                    if len(pending) > 1 + -(-self.threads // n_views):
                        yield _finished(*pending.popleft())
                while pending:
                    yield _finished(*pending.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _empty(self, views: ViewBatch) -> FeatureBatch:
        shape = views.images.shape[:2]
        return FeatureBatch(
            views.rows,
            {tap.name: self._buffer(*shape, *tap.shape, dtype=stored_dtype(tap.dtype)) for tap in self._taps},
            {tap: np.zeros(shape, np.int64).T for tap in self._quantisers},
            views.skipped,
        )

    def _buffer(self, *shape: int, dtype: np.dtype[Any]) -> np.ndarray:
        """One view after another, so that a pass fills one piece of memory, which a GPU copies to without waiting."""
        memory = torch.empty(math.prod(shape) * dtype.itemsize, dtype=torch.uint8, pin_memory=self.on_gpu)
        return memory.numpy().view(dtype).reshape(shape).swapaxes(0, 1)

    def _compute(self, views: ViewBatch, view: int, batch: FeatureBatch) -> None:
        with self._turns, self._meter.step("forward"), self._own() as forward:
            for tap, values in forward(views.images[view].permute(0, 3, 1, 2)).items():
                if tap in self._quantisers:
                    self._check(tap, values, batch)
                    values, clipped = self._quantisers[tap].encode(values)
                    batch.clipped[tap][:, view] = clipped.cpu().numpy()
                bits = values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
                torch.from_numpy(batch.features[tap][:, view]).copy_(bits, non_blocking=True)
        self._meter.add({}, images=len(batch))

    @contextmanager
    def _own(self) -> Iterator[Forward]:
        """The calling thread's way to compute: on a GPU with a stream and a recording of its own, which are done at the end."""
        if not self.on_gpu:
            yield self._forward
            return
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._forward.device)  # type: ignore[no-untyped-call]
            self._of_thread.replay = Replay(self._forward, BATCH_ROWS)
        stream: torch.cuda.Stream = self._of_thread.stream
        with torch.cuda.stream(stream):
            yield self._of_thread.replay
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # waiting takes no processor time
            done.record(stream)
            done.synchronize()

    def _check(self, tap: str, values: Tensor, batch: FeatureBatch) -> None:
        """Codes cannot be NaN, so their values are looked at before; other types are checked when they are written."""
        finite = values.flatten(1).isfinite().all(dim=1).tolist()
        for row, good in zip(batch.rows, finite, strict=True):
            if good or row in batch.skipped:
                continue
            reason = f"tap {tap!r} is NaN or infinite"
            if self._on_error == "fail":
                raise FeatureError(f"{self._ids[row]}: {reason}; such values are never stored")
            batch.skipped[row] = reason


def _finished(batch: FeatureBatch, passes: Sequence[Future[None]]) -> FeatureBatch:
    for one in passes:
        one.result()
    return batch
