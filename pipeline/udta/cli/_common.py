"""What several verbs share: kinds of arguments, options, and `--json`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from udta._console.messages import be_quiet, is_quiet, say
from udta._files.paths import local_path
from udta.errors import did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
quiet_option = click.Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    callback=lambda _context, _option, asked: be_quiet() if asked else None,
    help="No progress and no summary: results and errors alone.",
)
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="An image that cannot be used: stop, or leave it out and record why.",
)
PATH = click.Path(path_type=Path)


def complete_paths(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Files and folders, which the shell itself completes: for an argument that may be other things too."""
    return _paths(incomplete)


def _paths(incomplete: str) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _check_given(
    kind: click.ParamType[Any], value: Any, param: click.Parameter | None, ctx: click.Context | None
) -> None:
    if value == "":  # `Path("")` is the folder that one is in
        kind.fail("it is empty, as a variable of the shell without a value is", param, ctx)


class OutPath(click.ParamType):  # type: ignore[type-arg]
    """Where a verb writes: a local path."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises `ConfigError` for a URL."""
        _check_given(self, value, param, ctx)
        # Here, where it still looks like one: `Path("s3://bucket")` is `s3:/bucket`.
        return local_path(param.opts[0] if param else "path", value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """What is there already."""
        return _paths(incomplete)


OUT = OutPath()


class StorePath(click.ParamType):  # type: ignore[type-arg]
    """A local path, or a URL such as s3://bucket/store."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, on this machine or behind the URL. Raises `ConfigError` for a kind of URL that nothing opens."""
        from udta.store import store_path

        _check_given(self, value, param, ctx)
        return store_path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Local ones: a store is a folder, or a folder of HDF5 files."""
        return _paths(incomplete)


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

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name. Raises `BadParameter`, with the nearest one, for another."""
        names = self.choices
        if value not in names:
            self.fail(f"{value!r} is none of them: {did_you_mean(str(value), names)}", param, ctx)
        return str(value)


def emit(
    as_json: bool,
    document: Any,
    text: str,
    following: Iterable[Iterable[object]] = (),
    *,
    paint: Callable[[str], str] | None = None,
) -> None:
    """Print the result: the document for machines, the text for people.

    Args:
        as_json: whether it is for machines.
        document: for them, everything.
        text: for people.
        following: commands that may come next, as words: for people, ready to be pasted into a shell, unless it shall be quiet.
        paint: puts colours into the text, for terminals.
    """
    if as_json:
        # JSON escapes all control characters but DEL, which a terminal acts upon.
        say(json.dumps(document, indent=2).replace("\x7f", r"\u007f"))
        return
    lines = [] if is_quiet() else [f"next: {shell_line(words)}" for words in following]
    say("\n".join([text, *lines]), paint=paint)


def summarise(as_json: bool, document: Any, text: str, following: Iterable[Iterable[object]] = ()) -> None:
    """`emit` what a long verb has written elsewhere: nothing for people where it shall be quiet."""
    if as_json or not is_quiet():
        emit(as_json, document, text, following)


def shell_line(words: Iterable[object]) -> str:
    """A command as it is typed in a shell; what a terminal could not show is written as bash, zsh and ksh read it."""
    return " ".join(_shell_word(str(word)) for word in words)


def _shell_word(word: str) -> str:
    if word.isprintable():  # no control characters, and no bytes that are not UTF-8
        return shlex.quote(word)
    plain = {ord("'"), ord("\\")}
    escaped = (
        chr(b) if 32 <= b < 127 and b not in plain else f"\\x{b:02x}" for b in word.encode(errors="surrogateescape")
    )
    return f"$'{''.join(escaped)}'"


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
