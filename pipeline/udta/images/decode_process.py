"""Images decoded in another process: where a GPU takes thousands a second, Python's lock lets threads decode one thousand.

Measured on 16 cores: 16 threads made 1250 views a second, one thread alone makes 400, and 16 processes 7100. The child imports
NumPy and Pillow and no torch, so that it starts in a few tenths of a second; pixels go through memory that both have mapped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from udta._machine.children import Child, Parent, mapped, shared_memory
from udta.errors import DataError, ImageError
from udta.images._contents import Contents
from udta.images._decode import EncodedImage
from udta.images._sample import Sample
from udta.images._views import ViewSpec

# Views of one request: so many that asking costs little (with 8 the parent's Python was the limit of a GPU, 4,900 images/s; 5,900
# with 16, 5,700 with 32), so few that those that wait take little memory.
_REQUEST_VIEWS = 16


def rows_of_request(views: ViewSpec) -> int:
    """How many images a request may be for."""
    return max(1, _REQUEST_VIEWS // views.count)


@dataclass(frozen=True)
class Made:
    """What a request gave: why images cannot be used, by their number in it, and seconds of reading and of decoding.

    `notes` counts images whose colour profile was not used, by reason.
    """

    bad: dict[int, str]
    read: float
    decode: float
    notes: dict[str, int]


class DecodeProcess:
    """A child that makes views of images, for one thread at a time. It is not waited for until it is asked for some.

    Args:
        contents: of the images.
        views: how they are made.
    """

    def __init__(self, contents: Contents, views: ViewSpec) -> None:
        shape = (views.count, rows_of_request(views), *views.shape)
        # The child fills what it was given the number of; here the descriptor is closed at once, the mapping keeps the memory.
        with shared_memory(shape) as (memory, self._pixels):
            self._process = Child(_serve, memory, shape, contents, views, keep=[memory])

    def make(
        self,
        images: Sequence[tuple[int, str, str]],
        which: Sequence[int],
        target: UInt8[np.ndarray, "views rows height width channels"],
    ) -> Made:
        """Put the views `which` of up to `rows_of_request` images into `target`, zeros for those that cannot be used.

        Args:
            images: row, id and content hash of each.
            which: view numbers.
            target: filled here.

        Raises:
            DataError: the content of a file is not what the manifest was made from, or the child has died.
        """
        self._process.send((images, which))
        try:
            made: Made = self._process.receive()
        except EOFError:
            raise DataError(
                f"a process that decodes images died (status {self._process.wait()}) at one of: "
                + ", ".join(name for _, name, _ in images)
            ) from None
        # A copy, since the next request overwrites it: 0.2 ms for 16 views of 224 x 224, of the 30 ms that they took to make.
        np.copyto(target, self._pixels[: len(which), : len(images)])
        return made

    def end(self) -> None:
        """Kill it if it lives."""
        self._process.end()


def _serve(parent: Parent, memory: int, shape: Sequence[int], contents: Contents, views: ViewSpec) -> None:
    """The child."""
    pixels = mapped(memory, shape)
    for images, which in parent:
        try:
            parent.send(_made(images, which, contents, views, pixels[: len(which)]))
        except DataError as error:
            parent.fail(error)  # and go on: other threads of the parent may still want something before it gives up


def _made(
    images: Sequence[tuple[int, str, str]],
    which: Sequence[int],
    contents: Contents,
    views: ViewSpec,
    pixels: UInt8[np.ndarray, "views rows height width channels"],
) -> Made:
    bad, read, decode, notes = dict[int, str](), 0.0, 0.0, Counter[str]()
    for index, (row, name, sha256) in enumerate(images):
        begun = done = time.perf_counter()
        try:
            content = Sample(row, name, contents, sha256, -1, "").read()
            done = time.perf_counter()
            image = EncodedImage(content, name)
            pixels[:, index] = views.make(image, sha256, which)
            notes.update([image.colour_problem] if image.colour_problem else [])
        except ImageError as error:
            bad[index] = error.reason
            pixels[:, index] = 0  # what the memory held before is another image
        read, decode = read + done - begun, decode + time.perf_counter() - done
    return Made(bad, read, decode, dict(notes))
