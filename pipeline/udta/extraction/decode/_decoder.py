"""What every way of decoding does: rows of a work item become a batch of views, beside the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import UInt8
from torch import Tensor

from udta.extraction._work import WorkItem


@dataclass(frozen=True)
class ViewBatch:
    """Some rows in the views asked for, as `images[view, row]`. A row in `skipped` holds zeros; the reason stands there."""

    # One view after another, because a forward pass takes one: it is a piece of memory, not a gathering of rows.
    rows: Sequence[int]
    images: UInt8[Tensor, "views rows height width channels"]
    skipped: dict[int, str]


@dataclass(frozen=True)
class Decoding:
    """A batch on its way: `parts` are at work on it, `finish` is called when they are done."""

    parts: Sequence[Future[Any]]
    finish: Callable[[], ViewBatch]

    def wait(self) -> None:
        """Until it is done, well or not: what went wrong is for whoever asks for the result."""
        # Not `result`, which would raise what a later item has done wrong before the earlier ones are committed.
        wait(self.parts)

    def result(self) -> ViewBatch:
        """Waits for it. Raises what its first bad part raises, in the order of rows, whichever failed first."""
        return self.finish()


class Decoder(Protocol):
    """A way to make views; it has threads, and perhaps processes, of its own.

    `ahead` is how many batches are decoded at the same time, and beside the one that is waited for, so that none of its threads
    waits for the caller.
    """

    ahead: int

    def __call__(self, item: WorkItem) -> Decoding:
        """Begin with the views of an item.

        Raises when the result is asked for:
            ImageError: an image cannot be used, and none may be skipped.
            DataError: a file is not what the manifest was made from.
        """

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and leave no thread and no process."""
