"""What is printed: results on standard output, everything else on standard error, with control characters shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from udta._console.terminal import shown


def say(text: str, *, err: bool = False) -> None:
    """Print to standard output or standard error, with control characters shown; everything is printed by way of this."""
    # `click.echo`, not `print`: it flushes, so that a line stands in a piped log when it is said.
    click.echo(shown(text), err=err)


class _Echo(logging.Handler):
    """Lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; bytes that are not UTF-8 are escaped."""
        say(record.getMessage(), err=True)


@contextmanager
def messages_shown() -> Iterator[None]:
    """What the library has to say while it works goes to standard error."""
    # Ours alone, while a verb runs: what other libraries log, and the settings of a program that imports us, stay theirs.
    logger, handler = logging.getLogger("udta"), _Echo()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a handler at the root, such as pytest's, would print each line a second time
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
