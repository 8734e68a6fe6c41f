"""Views of the images of several extractions that run at the same time: every image is read and decoded once for all of them.

Each extraction announces the rows and views it needs before any begins. Whoever comes to a row first makes the views of
everybody who still needs that row; the others find them, or wait until they are made. They are kept until everybody has taken
them, and what is kept is bounded by pacing: nobody begins a batch more than `ahead` rows beyond the rearmost one's next row.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import torch
from jaxtyping import UInt8

from udta.errors import ImageError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort, WorkItem
from udta.extraction.decode._decoder import Decoding
from udta.extraction.decode._threads import ThreadDecoder, make_views, note_colours, read_image
from udta.images import EncodedImage, Manifest, OnError, PixelSpec, Transform, ViewSpec

# What a view is made by: its transform, channels and window, and what its random numbers come from.
_Key = tuple[Transform, PixelSpec, int, int]
_Made = Mapping[_Key, UInt8[np.ndarray, "height width channels"] | ImageError]


# No `Exception`, for nothing may take it for a bad image: the error that stopped it all is raised elsewhere.
class StoppedExtraction(BaseException):
    """Raised in the extractions that go on when another has failed."""


class SharedViews:
    """The images of one manifest for several readers.

    Args:
        manifest: all readers' rows are its rows.
        ahead: rows by which a reader may be ahead of the rearmost one.
    """

    def __init__(self, manifest: Manifest, ahead: int) -> None:
        self._manifest, self._ahead = manifest, ahead
        self._readers: list[Reader] = []
        self._made: dict[int, Future[_Made]] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def reader(self, views: ViewSpec, which: Sequence[int], rows: np.ndarray) -> Reader:
        """One more extraction, before any begins.

        Args:
            views: how its views are made.
            which: view numbers that it takes of every row.
            rows: that it takes, once each and ascending; rows that it takes besides are made for it alone.
        """
        reader = Reader(self, views, which, rows, len(self._manifest))
        self._readers.append(reader)
        return reader

    def stop(self) -> None:
        """Every reader's next batch raises `StoppedExtraction`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_to_begin(self, reader: Reader, batch: Sequence[int]) -> None:
        """Return when the reader may begin a batch of its rows."""
        with self._changed:
            # Only the thread that begins batches waits here. One that decodes waits at most for another that is at work on the
            # same image, never for memory: else a row of the rearmost one might wait for what that one has to take first.
            self._changed.wait_for(lambda: self._stopped or self._may_begin(reader))
            if self._stopped:
                raise StoppedExtraction
            reader.begin(batch)
            self._changed.notify_all()

    def take(self, reader: Reader, row: int, meter: Meter) -> _Made:
        """What was made of a row that the reader needs, for whoever needed it then.

        Raises:
            ImageError: the file cannot be read or is no usable image. DataError: it is not what the manifest was made from.
        """
        with self._changed:
            made = self._made.get(row)
            mine = made is None
            if made is None:
                needing = [other for other in self._readers if other.needs[row]]
                wanted = {key: view for other in needing for key, view in other.wants.items()}
                made = self._made[row] = Future()
            # Before it is made: whatever becomes of it, an exception too, nobody keeps it for this reader.
            reader.needs[row] = False
            self._forget([row])
        # Outside the lock, so that different images are decoded at the same time.
        if mine:
            try:
                made.set_result(self._make(row, wanted, meter))
            # Whatever it is: those that wait for this row would wait for ever.
            except BaseException as error:
                made.set_exception(error)
        return made.result()

    def leave(self, reader: Reader) -> None:
        """Nothing is kept for the reader any more, and nobody waits for it."""
        with self._changed:
            self._readers.remove(reader)
            self._forget(list(self._made))
            self._changed.notify_all()

    def _may_begin(self, reader: Reader) -> bool:
        # The rearmost one never waits, so there is always one that goes on; one that has no rows left is nowhere (infinite), and
        # one that has left is not in the list, so neither holds up anybody.
        rearmost = min(other.next_row for other in self._readers)
        return math.isinf(reader.next_row) or reader.next_row <= rearmost + self._ahead

    def _forget(self, rows: Sequence[int]) -> None:
        """Drop what nobody needs any more."""
        for row in rows:
            if not any(reader.needs[row] for reader in self._readers):
                del self._made[row]

    def _make(self, row: int, wanted: Mapping[_Key, tuple[ViewSpec, int]], meter: Meter) -> _Made:
        """An error of one transform is the result of that one: it may be nobody else's."""
        content, sample = read_image(self._manifest, row, meter), self._manifest.sample(row)
        made: dict[_Key, np.ndarray | ImageError] = {}
        with meter.step("decode"):
            image = EncodedImage(content, sample.id)
            note_colours(image, meter)
            # The image keeps what it has decoded, by size; what two have in common is one key.
            for key, (views, view) in wanted.items():
                try:
                    made[key] = views.view(image, sample.sha256, view)
                except ImageError as error:
                    made[key] = error
        return made


class Reader:
    """One extraction's access to shared views; `SharedViews.reader` makes it, `leave` when it ends, however it does."""

    def __init__(
        self, shared: SharedViews, views: ViewSpec, which: Sequence[int], rows: np.ndarray, total: int
    ) -> None:
        self._shared, self._rows, self._begun = shared, rows, 0
        self.wants = {_key(views, view): (views, view) for view in which}
        self.needs = np.zeros(total, bool)
        self.needs[rows] = True

    @property
    def next_row(self) -> float:
        """The first row that it has not begun yet; infinite when there is none."""
        return int(self._rows[self._begun]) if self._begun < len(self._rows) else math.inf

    def begin(self, batch: Sequence[int]) -> None:
        """Count a batch as begun."""
        self._begun = int(np.searchsorted(self._rows, batch[-1], side="right"))

    def wait_to_begin(self, batch: Sequence[int]) -> None:
        """Return when a batch may begin, which counts as begun then. Raises `StoppedExtraction` where it shall not go on."""
        self._shared.wait_to_begin(self, batch)

    def make(
        self, manifest: Manifest, row: int, views: ViewSpec, which: Sequence[int], meter: Meter
    ) -> UInt8[np.ndarray, "views height width channels"]:
        """Views `which` of a row: the bits and the errors that `make_views` gives.

        Raises:
            ImageError: the file cannot be read, or this extraction's transform cannot be applied to the image.
            DataError: its content is not what the manifest was made from.
        """
        # A row that is asked for again, by a store that grows by several things, or that nobody else announced.
        if not self.needs[row]:
            return make_views(manifest, row, views, which, meter)
        made = self._shared.take(self, row, meter)
        found = []
        for view in which:
            one = made[_key(views, view)]
            if isinstance(one, ImageError):
                raise one
            found.append(one)
        return np.stack(found)

    def leave(self) -> None:
        """Nothing is kept for it any more, and nobody waits for it."""
        self._shared.leave(self)


class SharedDecoder(ThreadDecoder):
    """Threads that make and take shared views; an item begins when the slowest extraction has come near enough.

    Args:
        reader: the extraction's access to shared views; the others are as of `ThreadDecoder`.
    """

    def __init__(
        self,
        manifest: Manifest,
        views: ViewSpec,
        on_error: OnError,
        *,
        device: torch.device,
        effort: Effort,
        meter: Meter,
        reader: Reader,
    ) -> None:
        super().__init__(manifest, views, on_error, device=device, effort=effort, meter=meter)
        self._reader = reader

    def __call__(self, item: WorkItem) -> Decoding:
        """Begin with the views of an item. Raises `StoppedExtraction` at once where the extraction shall not go on."""
        # A block that lacks nothing has no rows to keep pace with.
        if item.rows:
            self._reader.wait_to_begin(item.rows)
        return super().__call__(item)

    def _make(self, row: int, which: Sequence[int]) -> UInt8[np.ndarray, "views height width channels"]:
        return self._reader.make(self._manifest, row, self._views, which, self._meter)


def _key(views: ViewSpec, view: int) -> _Key:
    return views.transform(view), views.pixels, views.seed, view
