"""From files to batches of views: decoding runs in threads, a bounded number of batches ahead of the backbone."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from udta.data import EncodedImage, Manifest, ViewSpec
from udta.errors import DataError, ImageError
from udta.extraction.meter import Meter
from udta.extraction.setup import PREFETCH, OnError
from udta.threads import n_cores

_CPU = torch.device("cpu")

# Makes some views of a row, see `make_views`.
MakeViews = Callable[[Manifest, int, ViewSpec, Sequence[int], Meter], UInt8[np.ndarray, "views height width 3"]]


@dataclass(frozen=True)
class ViewBatch:
    """Some rows in the views asked for, one view after another: a forward pass takes one. A row in `skipped` holds zeros."""

    rows: Sequence[int]
    images: UInt8[Tensor, "views rows height width 3"]
    skipped: dict[int, str]


def decoded_batches(
    manifest: Manifest,
    views: ViewSpec,
    which: Sequence[int],
    batches: Iterable[Sequence[int]],
    on_error: OnError,
    *,
    prefetch: int = PREFETCH,
    threads: int | None = None,
    device: torch.device = _CPU,
    meter: Meter | None = None,
    make: MakeViews | None = None,
) -> Generator[ViewBatch, None, None]:
    """Every batch of rows in order, in the views `which`, decoded in threads while the caller works on an earlier one.

    Args:
        manifest: what is decoded.
        views: how each view is made.
        which: view numbers.
        batches: rows of each batch; an iterator is asked for the next ones only when there is room for them.
        on_error: what an image that cannot be used does.
        prefetch: batches that are decoded ahead.
        threads: that decode; one for each core by default.
        device: where the images are wanted; for a GPU they lie in memory that it copies from without waiting.
        meter: counts reading and decoding.
        make: makes the views of a row where Pillow does; `make_views` by default.

    Raises:
        ImageError: an image cannot be used, and `on_error` is `fail`.
        DataError: a file is not the one that the manifest describes.
        ConfigError: the views are of nvJPEG, and `device` is no GPU.
    """
    meter, make, pinned = meter or Meter(), make or make_views, device.type == "cuda"
    if views.decoder == "nvjpeg":
        from udta.extraction.gpu_decode import batches_on_gpu  # it needs what is defined here

        yield from batches_on_gpu(
            manifest, views, which, batches, on_error, prefetch=prefetch, threads=threads, device=device, meter=meter
        )
        return
    pending: deque[tuple[Sequence[int], Sequence[Future[np.ndarray]]]] = deque()
    with ThreadPoolExecutor(threads or n_cores(), thread_name_prefix="udta-decode") as pool:

        def collect() -> ViewBatch:
            rows, futures = pending.popleft()
            images = torch.empty(len(which), len(rows), *views.size, 3, dtype=torch.uint8, pin_memory=pinned)
            target, skipped = images.numpy(), {}
            for position, future in enumerate(futures):
                try:
                    target[:, position] = future.result()
                except ImageError as error:
                    if on_error == "fail":
                        raise
                    skipped[rows[position]], target[:, position] = error.reason, 0
            return ViewBatch(rows, images, skipped)

        try:
            for rows in batches:
                pending.append((rows, [pool.submit(make, manifest, row, views, which, meter) for row in rows]))
                if len(pending) > prefetch:
                    yield collect()
            while pending:
                yield collect()
        finally:
            pool.shutdown(cancel_futures=True)


def make_views(
    manifest: Manifest, row: int, views: ViewSpec, which: Sequence[int], meter: Meter
) -> UInt8[np.ndarray, "views height width 3"]:
    """Some views of one sample, from a file that is read once.

    Raises:
        ImageError: the file cannot be read or is no usable image.
        DataError: its content is not what the manifest was made from.
    """
    content, sample = read_image(manifest, row, meter), manifest.sample(row)
    with meter.step("decode"):
        image = EncodedImage(content, sample.id)
        return np.stack([views.view(image, sample.sha256, view) for view in which])


def read_image(manifest: Manifest, row: int, meter: Meter) -> bytes:
    """The file of one sample, as it was when the manifest was made. Raises `ImageError`, `DataError` as `make_views`."""
    sample = manifest.sample(row)
    with meter.step("read"):
        try:
            content = sample.path.read_bytes()
        except OSError as error:
            raise ImageError(sample.id, f"cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != sample.sha256:
            raise DataError(
                f"{sample.path} changed after the manifest was made; run the same command again to use its new content"
            )
    return content
