"""From views to features as stored: several forward passes at a time, in an order that does not matter.

One view of one batch is a pass. On a CPU every pass runs on one core and there are as many at a time as cores; on a GPU a few
threads, each with a stream and a recorded pass of its own, copy, compute and copy back at the same time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from udta._machine.cores import n_cores, one_thread_each
from udta.backbones import Replay, TapForward
from udta.errors import FeatureError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort, FeatureSource, WorkItem
from udta.extraction.decode import Decoding
from udta.store import BATCH_ROWS, stored_dtype

# One stream computes while another copies; a third hides the time that Python takes to launch (ResNet-50 on an H100: 5,675
# images/s with two, 5,700 to 6,540 with three).
_STREAMS = 3

Forward = Callable[[Tensor], dict[str, Tensor]]
Result = TypeVar("Result")
Later = Callable[[], Result]  # waits for it


@dataclass(frozen=True)
class FeatureBatch:
    """Rows with their features as stored, `[rows, views, *tap.shape]` by tap; `clipped` counts by row and view for uint8 taps.

    `skipped` says why a row has no features: those of its place are of a black image, or not finite.
    """

    rows: Sequence[int]
    features: Mapping[str, np.ndarray]
    clipped: Mapping[str, np.ndarray]
    skipped: dict[int, str]

    def __len__(self) -> int:
        return len(self.rows)


class Computer:
    """Computes work items with one backbone, several passes at a time.

    The backbone is prepared when this is made: torch.fx, which looks for BatchNorm to fold, changes `torch.nn.Module` for every
    thread while it traces, so no other extraction may be at work by then.

    Args:
        source: whose features.
        taps: each set of taps that items ask for.
        effort: forward passes at a time, in turns with whom; one for each core by default, three on a GPU.
        meter: counts forward passes.

    Raises:
        BackboneError: it is not frozen or cannot be copied.
    """

    def __init__(self, source: FeatureSource, taps: Iterable[tuple[str, ...]], effort: Effort, meter: Meter) -> None:
        self._source, self._meter = source, meter
        self._specs = {tap.name: tap for tap in source.taps}
        self._forwards = {
            names: TapForward(
                source.backbone,
                [self._specs[name] for name in names],
                source.compute,
                source.device,
                memory_format=source.memory_format,
            )
            for names in taps
        }
        self._on_gpu = source.device.type == "cuda"
        # Two passes of one thread each are as fast as one pass of two threads on a quiet machine and up to twice as fast on a
        # busy one (measured, ResNet-50 and MobileNetV2), since none waits for another at a barrier. A pass does the same
        # operations however many there are, so that cannot change a bit.
        self._threads = _STREAMS if self._on_gpu else effort.threads or n_cores()
        self._turns = nullcontext() if effort.turns is None or self._on_gpu else effort.turns
        # A stream and its recordings belong to one thread: a replay overwrites the result of the one before.
        self._of_thread = threading.local()
        initialise = None if self._on_gpu else one_thread_each
        self._pool = ThreadPoolExecutor(self._threads, "udta-forward", initialise)

    def __call__(self, item: WorkItem, decoding: Decoding) -> Later[FeatureBatch]:
        """Compute an item when its views are there.

        Raises when the result is asked for:
            FeatureError: a uint8 tap of a sample is NaN or infinite, and none may be skipped. What `decoding` raises.
        """
        n_views, n_rows = len(item.views), len(item.rows)
        features = {
            name: self._buffer(n_views, n_rows, *self._specs[name].shape, dtype=stored_dtype(self._specs[name].dtype))
            for name in item.taps
        }
        codes = [name for name in item.taps if name in self._source.quantisers]
        clipped = {name: np.zeros((n_views, n_rows), np.int64).T for name in codes}
        batch = FeatureBatch(item.rows, features, clipped, {})
        # A pass has the same rows in it however many views there are: more views leave the bits of view 0 as they are.
        passes = [self._pool.submit(self._compute, item, view, decoding, batch) for view in range(n_views)]
        return partial(_finished, batch, passes)

    def ahead(self, item: WorkItem) -> int:
        """How many items like this have to be at work so that no thread waits while the caller stores the oldest."""
        return 1 + -(-self._threads // max(1, len(item.views)))

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        self._pool.shutdown(cancel_futures=True)

    def _buffer(self, *shape: int, dtype: np.dtype[Any]) -> np.ndarray:
        """One view after another, so that a pass fills one piece of memory, which a GPU copies to without waiting."""
        # Pinned: from any other memory CUDA copies by way of a buffer of its own, and waits (`non_blocking` is ignored then).
        memory = torch.empty(math.prod(shape) * dtype.itemsize, dtype=torch.uint8, pin_memory=self._on_gpu)
        return memory.numpy().view(dtype).reshape(shape).swapaxes(0, 1)

    def _compute(self, item: WorkItem, view: int, decoding: Decoding, batch: FeatureBatch) -> dict[int, str]:
        """One pass; returns why rows are skipped."""
        # Before a turn is taken: with one in hand, waiting for a decoder would keep a core from the other extractions.
        views = decoding.result()
        skipped = dict(views.skipped)
        with self._turns, self._meter.step("forward"), self._own(item.taps) as forward:
            for tap, values in forward(views.images[view].permute(0, 3, 1, 2)).items():
                if tap in batch.clipped:
                    skipped |= self._not_finite(tap, values, item.rows, skipped)
                    values, clipped = self._source.quantisers[tap].encode(values)
                    batch.clipped[tap][:, view] = clipped.cpu().numpy()
                # NumPy has no bfloat16: a store keeps its bits, as uint16.
                bits = values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
                torch.from_numpy(batch.features[tap][:, view]).copy_(bits, non_blocking=True)
        self._meter.add({}, images=len(item.rows))
        return skipped

    @contextmanager
    def _own(self, taps: tuple[str, ...]) -> Iterator[Forward]:
        """The calling thread's way to compute: on a GPU with a stream and a recording of its own, which are done at the end."""
        if not self._on_gpu:
            yield self._forwards[taps]
            return
        # In the default stream the passes of all threads would follow one another, and nothing may be recorded there.
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._source.device)  # type: ignore[no-untyped-call]
            self._of_thread.replays = {}
        stream: torch.cuda.Stream = self._of_thread.stream
        replays: dict[tuple[str, ...], Replay] = self._of_thread.replays
        if taps not in replays:
            replays[taps] = Replay(self._forwards[taps], BATCH_ROWS)
        with torch.cuda.stream(stream):
            yield replays[taps]
            # The next replay overwrites the result of this one, so it must have been copied by then. A blocking event is waited
            # for without processor time; `stream.synchronize()` spins, on a core that decodes.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(stream)
            done.synchronize()

    def _not_finite(self, tap: str, values: Tensor, rows: Sequence[int], skipped: Mapping[int, str]) -> dict[int, str]:
        """Codes cannot be NaN, so their values are looked at before; other types are checked when they are written."""
        finite = values.flatten(1).isfinite().all(dim=1).tolist()
        found = [row for row, good in zip(rows, finite, strict=True) if not good and row not in skipped]
        reason = f"tap {tap!r} is NaN or infinite"
        if found and self._source.on_error == "fail":
            raise FeatureError(f"{self._source.manifest.ids[found[0]]}: {reason}; such values are never stored")
        return dict.fromkeys(found, reason)


def _finished(batch: FeatureBatch, passes: Sequence[Future[dict[int, str]]]) -> FeatureBatch:
    for one in passes:
        # The first reason stands, that of the decoder before all.
        batch.skipped.update({**one.result(), **batch.skipped})
    return batch
