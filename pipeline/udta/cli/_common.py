"""What several verbs share: kinds of arguments, options, and `--json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from udta._console.messages import say
from udta._files.paths import local_path

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="An image that cannot be used: stop, or leave it out and record why.",
)
PATH = click.Path(path_type=Path)


class OutPath(click.ParamType):  # type: ignore[type-arg]
    """Where a verb writes: a local path."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises `ConfigError` for a URL."""
        # Here, where it still looks like one: `Path("s3://bucket")` is `s3:/bucket`.
        return local_path(param.opts[0] if param else "path", value)


OUT = OutPath()


class StorePath(click.ParamType):  # type: ignore[type-arg]
    """A local path, or a URL such as s3://bucket/store."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, on this machine or behind the URL. Raises `ConfigError` for a kind of URL that nothing opens."""
        from udta.store import store_path

        return store_path(value)


STORE = StorePath()


class Choice(click.Choice[str]):
    """One of names that are looked up when a value or the help asks for them: the registry that holds them imports torch."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        # Not click's, which makes a tuple of them at once.
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute of click's
        """The names."""
        return tuple(self._names())


def emit(as_json: bool, document: Any, text: str) -> None:
    """Print the result: the document for machines, the text for people."""
    # JSON escapes all control characters but DEL, which a terminal acts upon.
    say(json.dumps(document, indent=2).replace("\x7f", r"\u007f") if as_json else text)


def options_from(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` arguments as a dictionary; values are JSON where they can be, text otherwise."""
    result = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not of the form name=value")
        try:
            # So that `width=64` is a number and `taps=["a"]` a list; a name needs no quotes, which a shell would eat.
            result[name] = json.loads(value)
        except ValueError:
            result[name] = value
    return result
