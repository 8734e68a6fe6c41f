"""From files to batches of views: decoding runs beside, a bounded number of batches ahead of the backbone."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from udta.extraction.decode.makers import Filler, ThreadFiller
from udta.extraction.meter import Meter
from udta.extraction.options import PREFETCH
from udta.images import Manifest, OnError, ViewSpec
from udta.store import BATCH_ROWS

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ViewBatch:
    """Some rows in the views asked for, one view after another: a forward pass takes one. A row in `skipped` holds zeros."""

    rows: Sequence[int]
    images: UInt8[Tensor, "views rows height width 3"]
    skipped: dict[int, str]


_Pending = tuple[Sequence[int], Tensor, Sequence[Future[dict[int, str]]]]


def decoded_batches(
    manifest: Manifest,
    views: ViewSpec,
    which: Sequence[int],
    batches: Iterable[Sequence[int]],
    on_error: OnError,
    *,
    prefetch: int = PREFETCH,
    device: torch.device = _CPU,
    meter: Meter | None = None,
    filler: Filler | None = None,
) -> Generator[ViewBatch, None, None]:
    """Every batch of rows in order, in the views `which`, decoded while the caller works on an earlier one.

    Args:
        manifest: what is decoded.
        views: how each view is made.
        which: view numbers.
        batches: rows of each batch; an iterator is asked for the next ones only when there is room for them.
        on_error: what an image that cannot be used does.
        prefetch: batches that are decoded ahead; more where that many leave processes idle.
        device: where the images are wanted; for a GPU they lie in memory that it copies from without waiting.
        meter: counts reading and decoding of the default filler and of nvJPEG.
        filler: makes the views, in its threads, and is not closed; a thread for each core by default. nvJPEG needs none.

    Raises:
        ImageError: an image cannot be used, and `on_error` is `fail`.
        DataError: a file is not the one that the manifest describes.
        ConfigError: the views are of nvJPEG, and `device` is no GPU.
    """
    if views.decoder == "nvjpeg":
        from udta.extraction.decode.nvjpeg import batches_on_gpu  # it needs what is defined here

        yield from batches_on_gpu(
            manifest, views, which, batches, on_error, prefetch=prefetch, device=device, meter=meter or Meter()
        )
        return
    making = filler or ThreadFiller(manifest, views, on_error, meter=meter)
    # One request for each of its threads is at work, and another one waits.
    ahead = max(prefetch, 2 * making.threads * making.chunk // BATCH_ROWS)
    pending: deque[_Pending] = deque()
    with ThreadPoolExecutor(making.threads, thread_name_prefix="udta-decode") as pool:

        def begin(rows: Sequence[int]) -> _Pending:
            shape = (len(which), len(rows), *views.size, 3)
            images = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
            parts = [slice(start, start + making.chunk) for start in range(0, len(rows), making.chunk)]
            return (
                rows,
                images,
                [pool.submit(making.fill, rows[part], which, images.numpy()[:, part]) for part in parts],
            )

        try:
            for rows in batches:
                pending.append(begin(rows))
                if len(pending) > ahead:
                    yield _finished(*pending.popleft())
            while pending:
                yield _finished(*pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(rows: Sequence[int], images: Tensor, parts: Sequence[Future[dict[int, str]]]) -> ViewBatch:
    skipped: dict[int, str] = {}
    for part in parts:
        skipped |= part.result()
    return ViewBatch(rows, images, skipped)
