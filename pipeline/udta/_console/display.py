"""The progress of a long call on a terminal, or in a log."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from udta._console._notebook import in_notebook
from udta._console.interruption import IfInterrupted
from udta._console.messages import is_quiet, say
from udta._console.terminal import shown

if TYPE_CHECKING:
    from tqdm import tqdm

# Plain lines when piped: often enough to see that it lives, seldom enough for a log.
_LINE_EVERY_S = 10.0
_WORTH_A_LINE_S = 2.0  # of a phase beside the main one that has ended
_DRAW_EVERY_S = 0.1  # tqdm's own `mininterval`, which does not count here: the postfix is set by hand
# Of a pace: what went before has little to say of what comes, since a first epoch waits for what is computed once.
_RECENT_S = 10.0
_BAR = "{percentage:3.0f}%|{bar:20}|{postfix}"
_NOTEBOOK_BAR = "{percentage:3.0f}%|{bar}|{postfix}"  # where the bar is a widget, of a width of its own


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


class ProgressDisplay:
    """A bar on a terminal, plain lines elsewhere, both on standard error.

    Use it as a context, and call it with what is counted, as `Listener`: all that a verb goes through. `resumes` is what
    a user who interrupts the work is told.
    """

    def __init__(self, unit: str, resumes: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._clock = unit, clock
        self._bar: tqdm[Any] | None = None
        self._phases: dict[str, Pace] = {}  # the outermost first
        self._texts: dict[str, str] = {}
        self._printed = clock()
        self._drawn = -math.inf
        self._interruption = IfInterrupted(lambda: resumes)

    def __enter__(self) -> ProgressDisplay:
        self._interruption.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._bar:
            self._bar.close()
        self._interruption.__exit__(kind, error, trace)

    def __call__(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done of what `name` counts: a phase inside of those that have begun and not ended."""
        if is_quiet():
            return
        now = self._clock()
        if name in self._phases:
            # What an outer phase says is said after all that it held: an inner one that stopped early never says `total`.
            for inner in list(self._phases)[list(self._phases).index(name) + 1 :]:
                del self._phases[inner]
            self._phases[name].add(now, done)
        else:
            self._phases[name] = Pace(now, done)
        pace, ended = self._phases[name], done >= total
        rate = "" if pace.rate is None else f", {pace.rate:.3g}/s"
        left = "" if ended or pace.rate is None else f", {pace.left(total):.0f} s left"
        self._texts[name] = f"{done}/{total} {name}{rate}{left}{' ' + note if note else ''}"
        if in_notebook() or sys.stderr.isatty():
            self._draw(now, name, done, total, ended)
        # The last line of the unit stands in every log; a phase beside it of half a second would only make that longer.
        elif now - self._printed >= _LINE_EVERY_S or (
            ended and (name == self._unit or now - pace.began >= _WORTH_A_LINE_S)
        ):
            self._printed = now
            say("; ".join(self._texts[each] for each in self._phases), err=True)
        if ended:
            del self._phases[name]

    def _draw(self, now: float, name: str, done: int, total: int, ended: bool) -> None:
        """The bar is of the outermost phase; that of the unit stays on the screen."""
        outer, *inner = self._phases
        if self._bar is not None and self._bar.desc != outer:
            self._bar.close()
            self._bar = None
        if self._bar is None:
            from tqdm.auto import tqdm  # here, where a bar is drawn: it is a fifth of the time of `udta --help`

            # It is made of what the outermost phase says, and that begins before those that it holds.
            self._bar = tqdm(
                total=total,
                desc=outer,
                bar_format=_NOTEBOOK_BAR if in_notebook() else _BAR,
                leave=outer == self._unit,
                file=sys.stderr,
            )
        if name == outer:
            self._bar.total, self._bar.n = total, done
        if ended or now - self._drawn >= _DRAW_EVERY_S:
            self._drawn = now
            self._bar.set_postfix_str(shown("; ".join(self._texts[each] for each in (outer, *inner))))
