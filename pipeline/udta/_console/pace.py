"""How fast something goes now, and when it will be done."""

from __future__ import annotations

from collections import deque

# What went before has little to say of what comes: a first epoch waits for what is computed once.
_RECENT_S = 10.0


class Pace:
    """The rate of the last ten seconds, or of the last step where one takes longer; times in seconds."""

    def __init__(self, now: float, done: int) -> None:
        self.began = now
        self._points = deque([(now, done)])

    def add(self, now: float, done: int) -> None:
        """`done` are done by now."""
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] >= _RECENT_S:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """A second; None as long as nothing was seen to be done."""
        (first, before), (last, after) = self._points[0], self._points[-1]
        return (after - before) / (last - first) if after > before and last > first else None

    def left(self, total: int) -> float | None:
        """Seconds until `total` are done."""
        return None if self.rate is None else (total - self._points[-1][1]) / self.rate
