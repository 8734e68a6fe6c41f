"""Decoding in threads: Pillow lets go of Python's lock while it decodes and resizes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from udta._machine.cores import n_cores
from udta.errors import ImageError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort, WorkItem
from udta.extraction.decode._decoder import Decoding, ViewBatch
from udta.images import EncodedImage, Manifest, OnError, ViewSpec
from udta.store import BATCH_ROWS

_CPU = torch.device("cpu")


class ThreadDecoder:
    """A thread for each core, each at work on one image; the views of all are in one piece of memory.

    Args:
        manifest: what is decoded.
        views: how each view is made.
        on_error: what an image that cannot be used does.
        device: where the images are wanted; for a GPU they lie in memory that it copies from without waiting.
        effort: threads, and batches ahead.
        meter: counts reading and decoding.
        chunk: rows that one thread is given at a time.
    """

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        device: torch.device = _CPU,
        effort: Effort | None = None,
        meter: Meter | None = None,
        chunk: int = 1,
    ) -> None:
        effort = effort or Effort()
        self._manifest, self._views, self._on_error = manifest, views, on_error
        self._pinned, self._meter, self._chunk = device.type == "cuda", meter or Meter(), chunk
        self.threads = effort.threads or n_cores()
        # One chunk for each of the threads is at work, and another one waits: that is 16 batches for 16 processes that take 16
        # rows each, and less than `prefetch` for threads.
        self.ahead = max(effort.prefetch, 2 * self.threads * chunk // BATCH_ROWS)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="udta-decode")

    def __call__(self, item: WorkItem) -> Decoding:
        """Begin with the views of an item, `[views, rows, height, width, channels]`, every chunk of rows as a task of its own."""
        shape = (len(item.views), len(item.rows), *self._views.shape)
        # Not zeroed: every row is filled, with zeros where it is skipped.
        images = torch.empty(shape, dtype=torch.uint8, pin_memory=self._pinned)
        chunks = [slice(start, start + self._chunk) for start in range(0, len(item.rows), self._chunk)]
        parts = [
            self._pool.submit(self._fill, item.rows[chunk], item.views, images.numpy()[:, chunk]) for chunk in chunks
        ]
        return Decoding(parts, partial(_finished, item.rows, images, parts))

    def close(self) -> None:
        """Forget tasks that no thread has taken; those at work are waited for."""
        self._pool.shutdown(cancel_futures=True)

    def _fill(
        self, rows: Sequence[int], which: Sequence[int], target: UInt8[np.ndarray, "views rows height width channels"]
    ) -> dict[int, str]:
        """Put the views `which` of a chunk in their places; why some rows were skipped, which become zeros."""
        skipped = {}
        for position, row in enumerate(rows):
            try:
                target[:, position] = self._make(row, which)
            # Not `DataError`: a file whose content has changed may not be skipped, for its row is that of the content before.
            except ImageError as error:
                if self._on_error == "fail":
                    raise
                skipped[row], target[:, position] = error.reason, 0
        return skipped

    def _make(self, row: int, which: Sequence[int]) -> UInt8[np.ndarray, "views height width channels"]:
        return make_views(self._manifest, row, self._views, which, self._meter)


def make_views(
    manifest: Manifest, row: int, views: ViewSpec, which: Sequence[int], meter: Meter
) -> UInt8[np.ndarray, "views height width channels"]:
    """Some views of one sample, from a file that is read once.

    Raises:
        ImageError: the file cannot be read or is no usable image.
        DataError: its content is not what the manifest was made from.
    """
    content, sample = read_image(manifest, row, meter), manifest.sample(row)
    with meter.step("decode"):
        image = EncodedImage(content, sample.id)
        note_colours(image, meter)
        return views.make(image, sample.sha256, which)


def note_colours(image: EncodedImage, meter: Meter) -> None:
    """Count an image whose colour profile is not used."""
    if image.colour_problem:
        meter.note({image.colour_problem: 1})


def read_image(manifest: Manifest, row: int, meter: Meter) -> bytes:
    """The bytes of a sample's file, whose hash is that of the manifest.

    Raises:
        ImageError: the file cannot be read.
        DataError: its content is not what the manifest was made from.
    """
    with meter.step("read"):
        return manifest.sample(row).read()


def _finished(rows: Sequence[int], images: Tensor, parts: Sequence[Future[dict[int, str]]]) -> ViewBatch:
    skipped: dict[int, str] = {}
    for part in parts:
        skipped |= part.result()
    return ViewBatch(rows, images, skipped)
