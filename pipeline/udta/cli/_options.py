"""Options of the command line, made of the fields of a model: kind, default, choices, help text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from udta._files.validation import Listed, LocalPath, Mark, OneOf, Options
from udta.cli._common import OUT, PATH, Choice, Function, options_from
from udta.errors import Problems


class _Listed(click.Option):
    """Its help begins with the names that a registry holds, which is not imported before somebody asks."""

    def __init__(self, *arguments: Any, names: Callable[[], Iterable[str]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._names = names

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help, as they stand in two columns."""
        text, self.help = self.help, f"{', '.join(self._names())}; {self.help}"
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = text


def options_of(
    model: type[Options], *, only: Iterable[str] | None = None, leave_out: Iterable[str] = ()
) -> Callable[[Function], Function]:
    """A decorator for a verb: an option for every field of a model, the required ones first.

    Args:
        model: whose fields; those of `Mark.PYTHON_ONLY` have no option.
        only: no others than these fields.
        leave_out: these have none either.
    """
    names = set(model.model_fields if only is None else only) - set(leave_out) - set(model.marked(Mark.PYTHON_ONLY))
    fields = [(name, field) for name, field in model.model_fields.items() if name in names]
    fields.sort(key=lambda named: not named[1].is_required())  # the order among those that are is kept
    # The last decorator of a function is the first to be applied, and the help shows options in the order of the text.
    return lambda function: reduce(lambda decorated, named: _option(*named)(decorated), reversed(fields), function)


def _option(name: str, field: FieldInfo) -> Callable[[Function], Function]:
    """The option of one field."""
    flag, settings = f"--{name.replace('_', '-')}", {"help": field.description, **_kind(field)}
    if field.is_required():
        settings["required"] = True
    elif isinstance(field.default, str | int | float) and not isinstance(field.default, bool):
        settings |= {"default": field.default, "show_default": True}
    if field.title:
        settings["metavar"] = field.title
    if Mark.REPEATED in field.metadata:
        settings["multiple"] = True
        # One for all stores; without a default, none is given.
        settings |= {"default": [field.default]} if "default" in settings else {}
    if settings.get("callback"):
        flag = flag.removesuffix("s")  # one NAME=VALUE each time
    return click.option(flag, name, **settings)


def _kind(field: FieldInfo) -> dict[str, Any]:
    """What click has to know of the kind of a field."""
    # `int | None` is an `int` on the command line, where None is what is not given.
    kinds = {field.annotation, get_origin(field.annotation), *get_args(field.annotation)}
    checks = [getattr(item, "func", item) for item in field.metadata]
    for check in checks:
        if isinstance(check, OneOf):
            return {"type": Choice(check.names)}
        if isinstance(check, Listed):
            return {"cls": _Listed, "names": check.names, "metavar": "NAME"}
    if dict in kinds:
        return {
            "multiple": True,
            "metavar": "NAME=VALUE",
            "callback": lambda _context, _option, pairs: options_from(pairs),
        }
    if bool in kinds:
        return {"is_flag": True}
    if Path in kinds:
        return {"type": OUT if _is_written(field) else PATH}
    return {"type": next((kind for kind in (int, float) if kind in kinds), str)}


def _is_written(field: FieldInfo) -> bool:
    return any(item in field.metadata for item in get_args(LocalPath)[1:])


def stores_of(model: type[Options], options: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The options of each store, and those that hold for all: the k-th of each option that is repeated make the k-th store.

    What is given once (or not at all) holds for every store, but for `--out`.

    Raises:
        ConfigError: other numbers than one and that of the stores.
    """
    given = {name: options[name] for name in model.marked(Mark.REPEATED)}
    n = max(map(len, given.values()))
    problems = Problems()
    for name, values in given.items():
        if len(values) != n and (len(values) > 1 or name == "out"):
            once = "" if name == "out" else ", or once for all"
            # Neither cut short nor repeated: a store with another's weights would look entirely normal.
            problems.add(f"--{name} is given {_times(len(values))}, but there are {n} stores: give it {n} times{once}")
    problems.raise_any()
    stores = [
        {name: values[number % len(values)] if values else None for name, values in given.items()}
        for number in range(n)
    ]
    return stores, {name: value for name, value in options.items() if name not in given}


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
