"""Who makes the views of some rows: threads of this process, or processes of their own where Python would be the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import torch
from jaxtyping import UInt8

from udta._machine.children import can_share_memory
from udta._machine.cores import n_cores
from udta.errors import ImageError
from udta.extraction.meter import Meter
from udta.images import EncodedImage, Manifest, OnError, ViewSpec
from udta.images.decode_process import DecodeProcess, rows_of_request

# Makes some views of a row, see `make_views`.
MakeViews = Callable[[Manifest, int, ViewSpec, Sequence[int], Meter], UInt8[np.ndarray, "views height width 3"]]

# A process starts in about half a second, in which threads make a few hundred views.
_WORTH_PROCESSES = 4096
_MANY_CORES = 4


class Filler(Protocol):
    """Makes views of up to `chunk` rows at a time; any number of threads may call it, `threads` are meant to."""

    chunk: int
    threads: int

    def fill(
        self, rows: Sequence[int], which: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]
    ) -> dict[int, str]:
        """Put the views `which` in their place, and return why some rows were skipped; those become zeros.

        Raises:
            ImageError: an image cannot be used, and none may be skipped.
            DataError: a file is not what the manifest was made from.
        """

    def close(self) -> None:
        """When no thread calls it any more."""


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
        note_colours(image, meter)
        return views.some(image, sample.sha256, which)


def note_colours(image: EncodedImage, meter: Meter) -> None:
    """Count an image whose colour profile is not used."""
    if image.colour_problem:
        meter.note({image.colour_problem: 1})


def read_image(manifest: Manifest, row: int, meter: Meter) -> bytes:
    """The file of one sample. Raises as `Sample.read`."""
    with meter.step("read"):
        return manifest.sample(row).read()


class ThreadFiller:
    """In the calling thread."""

    chunk = 1

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        make: MakeViews = make_views,
        meter: Meter | None = None,
        threads: int | None = None,
    ) -> None:
        self._manifest, self._views, self._on_error = manifest, views, on_error
        self._make, self._meter = make, meter or Meter()
        self.threads = threads or n_cores()

    def fill(
        self, rows: Sequence[int], which: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]
    ) -> dict[int, str]:
        """See `Filler`."""
        skipped = {}
        for place, row in enumerate(rows):
            try:
                target[:, place] = self._make(self._manifest, row, self._views, which, self._meter)
            except ImageError as error:
                if self._on_error == "fail":
                    raise
                skipped[row], target[:, place] = error.reason, 0
        return skipped

    def close(self) -> None:
        """Nothing to do."""


class ProcessFiller:
    """In child processes, one for each thread. They start at once, so that they are ready when the backbone is."""

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        meter: Meter | None = None,
        threads: int | None = None,
    ) -> None:
        self._manifest, self._on_error, self._meter = manifest, on_error, meter or Meter()
        self.threads, self.chunk = threads or n_cores(), rows_of_request(views)
        self._children = list[DecodeProcess]()
        self._free: SimpleQueue[DecodeProcess] = SimpleQueue()
        try:
            for _ in range(self.threads):
                self._children.append(DecodeProcess(manifest.root, views))
                self._free.put(self._children[-1])
        except BaseException:
            self.close()
            raise

    def fill(
        self, rows: Sequence[int], which: Sequence[int], target: UInt8[np.ndarray, "views rows height width 3"]
    ) -> dict[int, str]:
        """See `Filler`."""
        child = self._free.get()
        try:
            made = child.make([(self._manifest.ids[row], self._manifest.hashes[row]) for row in rows], which, target)
        finally:
            self._free.put(child)
        self._meter.add({"read": made.read, "decode": made.decode})
        self._meter.note(made.notes)
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
