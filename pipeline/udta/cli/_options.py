"""Options of a verb that are those of a model: made when the verb is called or its own help asked for.

`udta --help` imports every verb for its line. With the models it would import pydantic: 0.4 s of processor time instead of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pkgutil import resolve_name
from typing import Any

import click

from udta.cli._common import Function


class _Fields(click.Option):
    """Stands for the options of a model, where these are to stand in the help."""

    def __init__(self, *arguments: Any, made: Callable[[], list[click.Option]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.made = made


class Verb(click.Command):
    """A command whose function was decorated with `options_of`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All of them: what click asks for before it parses, completes or helps."""
        self.params = [
            each for param in self.params for each in (param.made() if isinstance(param, _Fields) else [param])
        ]
        return super().get_params(ctx)


def options_of(
    model: str, *, only: Iterable[str] | None = None, leave_out: Iterable[str] = (), once: bool = False
) -> Callable[[Function], Function]:
    """A decorator for a `Verb`: an option for every field of a model, the required ones first.

    Args:
        model: as `module:class`, which is imported when the options are made.
        only: no others than these fields.
        leave_out: these have none.
        once: no option is given several times, as each store of an extraction may.
    """
    return click.option("--fields", cls=_Fields, made=partial(_made, model, only, leave_out, once))


def _made(model: str, only: Iterable[str] | None, leave_out: Iterable[str], once: bool) -> list[click.Option]:
    from udta.cli._fields import options_of_fields

    return options_of_fields(resolve_name(model), only, leave_out, once)
