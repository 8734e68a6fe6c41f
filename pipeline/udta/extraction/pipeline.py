"""From files to batches of views: decoding runs in threads, a bounded number of batches ahead of the backbone."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from udta.data import Manifest, ViewSpec, decode_image
from udta.errors import DataError, ImageError
from udta.extraction.setup import OnError

# Batches decoded ahead: two keep the backbone busy, four absorb a slow file; each holds 24 MB at five views of 224 px.
AHEAD = 4


@dataclass(frozen=True)
class ViewBatch:
    """Some rows: the views asked for of each, NHWC; a row in `skipped` holds zeros."""

    rows: Sequence[int]
    images: UInt8[np.ndarray, "rows views height width 3"]
    skipped: dict[int, str]


def decoded_batches(
    manifest: Manifest, views: ViewSpec, which: Sequence[int], batches: Iterable[Sequence[int]], on_error: OnError
) -> Generator[ViewBatch, None, None]:
    """Every batch of rows in order, in the views `which`, decoded in threads while the caller works on an earlier one.

    Raises:
        ImageError: an image cannot be used, and `on_error` is `fail`.
        DataError: a file is not the one that the manifest describes.
    """
    height, width = views.size
    pending: deque[tuple[Sequence[int], Sequence[Future[np.ndarray]]]] = deque()
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="udta-decode") as pool:

        def collect() -> ViewBatch:
            rows, futures = pending.popleft()
            images = np.zeros((len(rows), len(which), height, width, 3), dtype=np.uint8)
            skipped = {}
            for position, future in enumerate(futures):
                try:
                    images[position] = future.result()
                except ImageError as error:
                    if on_error == "fail":
                        raise
                    skipped[rows[position]] = error.reason
            return ViewBatch(rows, images, skipped)

        try:
            for rows in batches:
                pending.append((rows, [pool.submit(make_views, manifest, row, views, which) for row in rows]))
                if len(pending) > AHEAD:
                    yield collect()
            while pending:
                yield collect()
        finally:
            pool.shutdown(cancel_futures=True)


def make_views(
    manifest: Manifest, row: int, views: ViewSpec, which: Sequence[int]
) -> UInt8[np.ndarray, "views height width 3"]:
    """Some views of one sample, from a file that is read and decoded once.

    Raises:
        ImageError: the file cannot be read or is no usable image.
        DataError: its content is not what the manifest was made from.
    """
    sample = manifest.sample(row)
    try:
        content = sample.path.read_bytes()
    except OSError as error:
        raise ImageError(sample.id, f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != sample.sha256:
        raise DataError(
            f"{sample.path} changed after the manifest was made; run the same command again to use its new content"
        )
    image = decode_image(content, sample.id)
    return np.stack([views.view(image, sample.sha256, view) for view in which])
