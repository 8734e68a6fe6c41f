"""What is said while an extraction works."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from udta.extraction.meter import Meter

# Called after every batch with the rows done, the rows there are to do, and where the time goes.
Progress = Callable[[int, int, str], None]


class Counter:
    """Adds up rows for the progress display, beside which a notice stands for as long as it holds.

    Args:
        progress: what is called; without one a notice becomes a warning.
        total: rows there are to do.
        meter: says where the time goes.
    """

    def __init__(self, progress: Progress | None, total: int, meter: Meter) -> None:
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
