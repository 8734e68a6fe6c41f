"""What is printed: results on standard output, everything else on standard error, with control characters shown."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from udta._console.terminal import shown

_LOGGER = logging.getLogger("udta")


class _Quiet:
    """Whether results and errors alone are printed; one for the process, whose threads log too."""

    asked = False


def say(text: str, *, err: bool = False, paint: Callable[[str], str] | None = None) -> None:
    """Print to standard output or standard error, with control characters shown; everything is printed by way of this.

    Args:
        text: what may hold names out of files.
        err: whether it is no result.
        paint: puts colours in, afterwards; they are left out again where nobody could see them.
    """
    safe = shown(text)
    # `click.echo`, not `print`: it flushes, so that a line stands in a piped log when it is said.
    click.echo(paint(safe) if paint else safe, err=err, color=colours())


def remark(text: str) -> None:
    """Say on standard error what is neither a result nor an error: nothing where it shall be quiet."""
    if not is_quiet():
        say(text, err=True)


def complain(text: str, kind: str = "error") -> None:
    """Say what went wrong, on standard error: `error: ...`, the first word in red."""
    say(
        f"{kind}: {text}",
        err=True,
        paint=lambda safe: click.style(f"{kind}:", fg="red", bold=True) + safe[len(kind) + 1 :],
    )


def colours() -> bool | None:
    """False where the user wants none (https://no-color.org, `TERM=dumb`); None leaves it to whether it is a terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def be_quiet() -> None:
    """From now on, until `messages_shown` ends: no progress, no summary, no remark."""
    _Quiet.asked = True
    _LOGGER.setLevel(logging.ERROR)


def is_quiet() -> bool:
    """Whether somebody has asked for results and errors alone."""
    return _Quiet.asked


class _Echo(logging.Handler):
    """Lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; bytes that are not UTF-8 are escaped."""
        say(record.getMessage(), err=True)


@contextmanager
def messages_shown() -> Iterator[None]:
    """What the library has to say while it works goes to standard error."""
    # Ours alone, while a verb runs: what other libraries log, and the settings of a program that imports us, stay theirs.
    handler = _Echo()
    level, propagate = _LOGGER.level, _LOGGER.propagate
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False  # a handler at the root, such as pytest's, would print each line a second time
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate
        _Quiet.asked = False
