"""What every verb shares: `--json`, the progress display, and helps that end in an example."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from udta.cli.pace import Pace
from udta.files import local_path
from udta.terminal import shown

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Train anew where another run is finished.")
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="An image that cannot be used: stop, or leave it out and record why.",
)
PATH = click.Path(path_type=Path)


class OutPath(click.ParamType):  # type: ignore[type-arg]
    """Where a verb writes; a URL is refused while it still looks like one."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See the class."""
        return local_path(param.opts[0] if param else "path", value)


OUT = OutPath()


class StorePath(click.ParamType):  # type: ignore[type-arg]
    """A local path, or a URL such as s3://bucket/store."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See the class."""
        from udta.store.place import place_of

        return place_of(value)


STORE = StorePath()

# Plain lines when piped: often enough to see that it lives, seldom enough for a log.
_LINE_EVERY_S = 10.0
_WORTH_A_LINE_S = 2.0  # of a phase beside the main one that has ended
_DRAW_EVERY_S = 0.1
_BAR = "{percentage:3.0f}%|{bar:20}|{postfix}"


class _Echo(logging.Handler):
    """Lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; bytes that are not UTF-8 are escaped."""
        say(record.getMessage(), err=True)


@contextmanager
def messages_shown() -> Iterator[None]:
    """What the library has to say while it works goes to standard error."""
    logger, handler = logging.getLogger("udta"), _Echo()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def emit(as_json: bool, document: Any, text: str) -> None:
    """Print the result: the document for machines, the text for people."""
    say(json.dumps(document, indent=2).replace("\x7f", r"\u007f") if as_json else text)


def say(text: str, *, err: bool = False) -> None:
    """Print to standard output or standard error, with control characters shown; everything is printed by way of this."""
    click.echo(shown(text), err=err)


class ProgressDisplay:
    """A bar on a terminal, plain lines elsewhere, both on standard error.

    Use it as a context, and call it with (done, total) of `unit`, or `phase` for all that a verb goes through. `resumes` is what
    a user who interrupts the work is told.
    """

    def __init__(self, unit: str, resumes: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._resumes, self._clock = unit, resumes, clock
        self._bar: tqdm[Any] | None = None
        self._phases: dict[str, Pace] = {}  # the outermost first
        self._texts: dict[str, str] = {}
        self._printed = clock()
        self._drawn = -math.inf

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._bar:
            self._bar.close()
        if self._resumes and isinstance(error, KeyboardInterrupt):
            error.add_note(self._resumes)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        self.phase(self._unit, done, total, note)

    def phase(self, name: str, done: int, total: int, note: str = "") -> None:
        """The same of what `name` counts, inside of the phases that have begun and not ended; see `udta.progress`."""
        now = self._clock()
        if name in self._phases:
            for inner in list(self._phases)[list(self._phases).index(name) + 1 :]:
                del self._phases[inner]
            self._phases[name].add(now, done)
        else:
            self._phases[name] = Pace(now, done)
        pace, ended = self._phases[name], done >= total
        rate = "" if pace.rate is None else f", {pace.rate:.3g}/s"
        left = "" if ended or pace.rate is None else f", {pace.left(total):.0f} s left"
        self._texts[name] = f"{done}/{total} {name}{rate}{left}{' ' + note if note else ''}"
        if sys.stderr.isatty():
            self._draw(now, name, done, total, ended)
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
            # It is made of what the outermost phase says, and that begins before those that it holds.
            self._bar = tqdm(total=total, desc=outer, bar_format=_BAR, leave=outer == self._unit, file=sys.stderr)
        if name == outer:
            self._bar.total, self._bar.n = total, done
        if ended or now - self._drawn >= _DRAW_EVERY_S:
            self._drawn = now
            self._bar.set_postfix_str(shown("; ".join(self._texts[each] for each in (outer, *inner))))


def options_from(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` arguments as a dictionary; values are JSON where they can be, text otherwise."""
    result = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not of the form name=value")
        try:
            result[name] = json.loads(value)
        except ValueError:
            result[name] = value
    return result
