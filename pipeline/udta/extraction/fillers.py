"""Who makes the views of some rows: threads of this process, or processes of their own where Python would be the limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import UInt8

from udta.data import EncodedImage, Manifest, ViewSpec
from udta.data.processes import CHUNK, DecodeProcess, can_share_memory
from udta.errors import ImageError
from udta.extraction.meter import Meter
from udta.extraction.setup import OnError
from udta.threads import n_cores

# Makes some views of a row, see `make_views`.
MakeViews = Callable[[Manifest, int, ViewSpec, Sequence[int], Meter], UInt8[np.ndarray, "views height width 3"]]

# Sixteen processes start in about a second, in which threads make a thousand views.
_WORTH_PROCESSES = 4096
_MANY_CORES = 4


class Filler(Protocol):
    """Makes views of up to `chunk` rows at a time; any number of threads may call it."""

    chunk: int

    def fill(self, rows: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]) -> dict[int, str]:
        """Put the views in their place, and return why some rows were skipped; those become zeros.

        Raises:
            ImageError: an image cannot be used, and none may be skipped.
            DataError: a file is not what the manifest was made from.
        """

    def close(self) -> None:
        """When no thread calls it any more."""


class ThreadFiller:
    """In the calling thread."""

    chunk = 1

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        which: Sequence[int],
        on_error: OnError,
        make: MakeViews,
        meter: Meter,
    ) -> None:
        self._manifest, self._views, self._which = manifest, views, which
        self._on_error, self._make, self._meter = on_error, make, meter

    def fill(self, rows: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]) -> dict[int, str]:
        """See `Filler`."""
        skipped = {}
        for place, row in enumerate(rows):
            try:
                target[:, place] = self._make(self._manifest, row, self._views, self._which, self._meter)
            except ImageError as error:
                if self._on_error == "fail":
                    raise
                skipped[row], target[:, place] = error.reason, 0
        return skipped

    def close(self) -> None:
        """Nothing to do."""


class ProcessFiller:
    """In a child process of the calling thread's own."""

    chunk = CHUNK

    def __init__(
        self, manifest: Manifest, views: ViewSpec, which: Sequence[int], on_error: OnError, meter: Meter
    ) -> None:
        self._manifest, self._views, self._which = manifest, views, which
        self._on_error, self._meter = on_error, meter
        self._of_thread, self._children = threading.local(), list[DecodeProcess]()

    def fill(self, rows: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]) -> dict[int, str]:
        """See `Filler`."""
        if not hasattr(self._of_thread, "child"):
            self._of_thread.child = DecodeProcess(self._views, self._which)
            self._children.append(self._of_thread.child)
        child: DecodeProcess = self._of_thread.child
        made = child.make([self._manifest.sample(row) for row in rows], target)
        self._meter.add({"read": made.read, "decode": made.decode})
        for place, reason in made.bad.items():
            if self._on_error == "fail":
                raise ImageError(self._manifest.ids[rows[place]], reason)
        return {rows[place]: reason for place, reason in made.bad.items()}

    def close(self) -> None:
        """Ends the children."""
        for child in self._children:
            child.end()


def processes_pay(device: torch.device, threads: int | None, n_views: int) -> bool:
    """Whether to decode so many views in processes: a GPU takes more of them than threads of one Python can make."""
    many = (threads or n_cores()) >= _MANY_CORES and n_views >= _WORTH_PROCESSES
    return device.type == "cuda" and many and can_share_memory()


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
        return views.some(EncodedImage(content, sample.id), sample.sha256, which)


def read_image(manifest: Manifest, row: int, meter: Meter) -> bytes:
    """The file of one sample. Raises as `Sample.read`."""
    with meter.step("read"):
        return manifest.sample(row).read()
