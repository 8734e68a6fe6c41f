"""Where the time of an extraction goes, and what is said of it while it works."""

from __future__ import annotations

import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

STEPS = ("read", "decode", "forward", "write")

# Called after every batch with the rows done, the rows there are to do, and where the time goes.
Rows = Callable[[int, int, str], None]


class Meter:
    """Seconds of work by step, images (views of rows) through the backbone, and bytes written; any thread may add to it.

    Seconds are summed over threads: two threads that decode at the same time for a second count two. On a GPU the forward
    step is what its threads wait for.

    Args:
        whole: counts the same work too, beside that of others.
    """

    def __init__(self, whole: Meter | None = None) -> None:
        # Passed on and not summed up at the end: the display of several extractions shows their common rate at any time.
        self._whole = whole
        self._lock, self._started = threading.Lock(), time.perf_counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._notes: Counter[str] = Counter()
        self.images = self.bytes = 0

    def start(self) -> None:
        """Count the wall seconds from now."""
        self._started = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time inside of it as work of this step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float], images: int = 0, bytes: int = 0) -> None:  # noqa: A002  # as the attribute
        """Add work that was done elsewhere."""
        with self._lock:
            for name, more in seconds.items():
                self._seconds[name] += more
            self.images += images
            self.bytes += bytes
        if self._whole:
            self._whole.add(seconds, images, bytes)

    def note(self, notes: Mapping[str, int]) -> None:
        """Count images about which something should be told, by what it is."""
        with self._lock:
            self._notes.update(notes)
        if self._whole:
            self._whole.note(notes)

    @property
    def notes(self) -> dict[str, int]:
        """What `note` counted."""
        with self._lock:
            return dict(self._notes)

    @property
    def elapsed(self) -> float:
        """Wall seconds since it was made or started."""
        return time.perf_counter() - self._started

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of work by step, in the order of the steps."""
        with self._lock:
            return {name: self._seconds[name] for name in STEPS}

    @property
    def shares(self) -> dict[str, float]:
        """The part of all work that each step took; they add up to 1, or to 0 before any work."""
        seconds = self.seconds
        whole = sum(seconds.values())
        return {name: value / whole if whole else 0.0 for name, value in seconds.items()}

    def __str__(self) -> str:
        """Rates and shares in one line; the step that most work went into is the one that a faster machine has to speed up."""
        # A first batch may be told of in the tick of the clock in which the work began.
        elapsed, shares = max(self.elapsed, 1e-9), self.shares
        parts = " ".join(f"{name} {share:.0%}" for name, share in shares.items())
        slowest = max(shares, key=lambda name: shares[name])
        return (
            f"{self.images / elapsed:.0f} images/s, {self.bytes / elapsed / 1e6:.1f} MB/s; {parts}; bound by {slowest}"
        )


class ProgressCounter:
    """Adds up rows for the progress display, beside which a notice stands for as long as it holds.

    Args:
        progress: what is called; without one a notice becomes a warning.
        total: rows there are to do.
        meter: says where the time goes.
    """

    def __init__(self, progress: Rows | None, total: int, meter: Meter) -> None:
        self._progress, self._total, self._meter = progress, total, meter
        self._done, self._notice = 0, ""

    def add(self, rows: int) -> None:
        """So many more are done."""
        self._done += rows
        self._show()

    def notice(self, text: str) -> None:
        """Say something from now on, or nothing any more."""
        if text and not self._notice and self._progress is None:
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        changed, self._notice = text != self._notice, text
        if changed:
            self._show()

    def _show(self) -> None:
        if self._progress:
            self._progress(self._done, self._total, "; ".join(filter(None, [str(self._meter), self._notice])))
