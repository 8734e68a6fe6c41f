"""What every verb shares: `--json`, the progress display, and helps that end in an example."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from udta.files import local_path

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


class _Echo(logging.Handler):
    """Lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; bytes that are not UTF-8 are escaped."""
        click.echo(record.getMessage().encode(errors="backslashreplace").decode(), err=True)


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
    click.echo(json.dumps(document, indent=2) if as_json else text)


class ProgressDisplay:
    """A bar on a terminal, plain lines elsewhere, both on standard error; use as a context, call with (done, total).

    `resumes` is what a user who interrupts the work is told.
    """

    def __init__(self, unit: str, resumes: str = "") -> None:
        self._unit, self._resumes = unit, resumes
        self._bar: tqdm[Any] | None = None
        self._started = self._printed = time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._bar:
            self._bar.close()
        if self._resumes and isinstance(error, KeyboardInterrupt):
            error.add_note(self._resumes)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        if sys.stderr.isatty():
            self._bar = self._bar or tqdm(total=total, unit=f" {self._unit}", file=sys.stderr)
            self._bar.set_postfix_str(note)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._printed >= _LINE_EVERY_S or done == total:
            self._printed = now
            rate = done / max(now - self._started, 1e-9)
            left = f", {(total - done) / rate:.0f} s left" if done < total else ""
            click.echo(f"{done}/{total} {self._unit}, {rate:.3g}/s{left}{' ' + note if note else ''}", err=True)


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
