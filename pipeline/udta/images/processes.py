"""Images decoded in another process: where a GPU takes thousands a second, Python's lock lets threads decode one thousand.

Measured on 16 cores: 16 threads made 1250 views a second, one thread alone makes 400, and 16 processes 7100. The child is a
Python that runs `main` below; it imports NumPy and Pillow and no torch, so that it starts in a few tenths of a second. Requests
and answers are JSON lines on its standard streams, pixels go through memory that both have mapped. It ends when its input does,
that is with its parent.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from udta.errors import DataError, ImageError
from udta.images.decode import EncodedImage
from udta.images.sample import Sample
from udta.images.views import Transform, ViewSpec

# Views of one request: so many that asking costs little (with 8 the parent's Python was the limit of a GPU, 4,900 images/s; 5,900
# with 16, 5,700 with 32), so few that those that wait take little memory.
_REQUEST_VIEWS = 16


def can_share_memory() -> bool:
    """Whether there are anonymous files that a child can map; Linux has them."""
    return hasattr(os, "memfd_create")


def rows_of_request(views: ViewSpec) -> int:
    """How many images a request may be for."""
    return max(1, _REQUEST_VIEWS // views.count)


@dataclass(frozen=True)
class Made:
    """What a request gave: reasons by place in it of images that cannot be used, and seconds of reading and of decoding.

    `notes` counts images whose colour profile was not used, by reason.
    """

    bad: dict[int, str]
    read: float
    decode: float
    notes: dict[str, int]


class DecodeProcess:
    """A child that makes views of images, for one thread at a time. It is not waited for until it is asked for some.

    Args:
        root: of the images.
        views: how they are made.
    """

    def __init__(self, root: Path, views: ViewSpec) -> None:
        shape = (views.count, rows_of_request(views), *views.size, 3)
        memory = os.memfd_create("udta-views")
        try:
            os.ftruncate(memory, int(np.prod(shape)))
            self._pixels = _mapped(memory, shape)
            command = [sys.executable, "-c", f"from {__name__} import main; main()"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[memory])
        finally:
            os.close(memory)
        self._ask(
            {
                "memory": memory,
                "shape": shape,
                "root": str(root),
                "views": [views.count, views.seed, str(views.evaluate), str(views.augment)],
            }
        )

    def make(
        self,
        images: Sequence[tuple[str, str]],
        which: Sequence[int],
        target: UInt8[np.ndarray, "views rows height width 3"],
    ) -> Made:
        """Put the views `which` of up to `rows_of_request` images into `target`, zeros for those that cannot be used.

        Args:
            images: the id and the content hash of each.
            which: view numbers.
            target: filled here.

        Raises:
            DataError: the content of a file is not what the manifest was made from, or the child has died.
        """
        self._ask({"which": list(which), "images": images})
        assert self._process.stdout is not None  # a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            raise DataError(
                f"a process that decodes images died (status {self._process.wait()}) at one of: "
                + ", ".join(name for name, _ in images)
            )
        answer = json.loads(line)
        if "error" in answer:
            raise DataError(answer["error"])
        np.copyto(target, self._pixels[: len(which), : len(images)])
        return Made(dict(answer["bad"]), answer["read"], answer["decode"], answer["notes"])

    def end(self) -> None:
        """Kill it if it lives."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # pipes were asked for
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _ask(self, request: Any) -> None:
        assert self._process.stdin is not None  # a pipe was asked for
        with contextlib.suppress(BrokenPipeError):  # the answer will be missing
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()


def main() -> None:
    """The child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends us
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    first = json.loads(sys.stdin.readline())
    pixels = _mapped(first["memory"], first["shape"])
    root, (count, seed, evaluate, augment) = Path(first["root"]), first["views"]
    views = ViewSpec(count, seed, Transform.parse(evaluate), Transform.parse(augment))
    for line in sys.stdin:
        print(json.dumps(_made(json.loads(line), root, views, pixels)), file=answers, flush=True)


def _made(request: Mapping[str, Any], root: Path, views: ViewSpec, pixels: np.ndarray) -> dict[str, Any]:
    bad, read, decode, notes = [], 0.0, 0.0, Counter[str]()
    pixels = pixels[: len(request["which"])]
    for place, (name, sha256) in enumerate(request["images"]):
        begun = done = time.perf_counter()
        try:
            content = Sample(-1, name, root / name, sha256, -1, "").read()
            done = time.perf_counter()
            image = EncodedImage(content, name)
            pixels[:, place] = views.some(image, sha256, request["which"])
            notes.update([image.colour_problem] if image.colour_problem else [])
        except ImageError as error:
            bad.append((place, error.reason))
            pixels[:, place] = 0
        except DataError as error:
            return {"error": str(error)}
        read, decode = read + done - begun, decode + time.perf_counter() - done
    return {"bad": bad, "read": read, "decode": decode, "notes": notes}


def _mapped(memory: int, shape: Sequence[int]) -> UInt8[np.ndarray, "views rows height width 3"]:
    return np.frombuffer(mmap.mmap(memory, int(np.prod(shape))), np.uint8).reshape(shape)
