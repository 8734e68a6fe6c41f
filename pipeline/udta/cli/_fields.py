"""The options of a verb, made of the fields of a model: kind, default, choices, help text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic.fields import FieldInfo

from udta._files.validation import ByteCount, Listed, LocalPath, Mark, OneOf, Options
from udta.cli._common import OUT, PATH, Choice, options_from


class _Listed(click.Option):
    """Its help begins with the names that a registry holds, which is not imported before somebody asks."""

    def __init__(self, *arguments: Any, names: Callable[[], Iterable[str]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._names = names

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Those that begin with what was typed."""
        return [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help, as they stand in two columns."""
        text, self.help = self.help, f"{', '.join(self._names())}; {self.help}"
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = text


def options_of_fields(
    model: type[Options], only: Iterable[str] | None, leave_out: Iterable[str], once: bool = False
) -> list[click.Option]:
    """An option for every field of a model, the required ones first.

    Args:
        model: whose fields; those of `Mark.PYTHON_ONLY` have no option.
        only: no others than these fields.
        leave_out: these have none either.
        once: those of `Mark.REPEATED` are given once, too.
    """
    names = set(model.model_fields if only is None else only) - set(leave_out) - set(model.marked(Mark.PYTHON_ONLY))
    fields = [(name, field) for name, field in model.model_fields.items() if name in names]
    fields.sort(key=lambda named: not named[1].is_required())  # the order among those that are is kept
    return [_option(*named, once) for named in fields]


def _option(name: str, field: FieldInfo, once: bool) -> click.Option:
    """The option of one field."""
    flag, settings = f"--{name.replace('_', '-')}", {"help": field.description, **_kind(field)}
    if field.is_required():
        settings["required"] = True
    elif isinstance(field.default, str | int | float) and not isinstance(field.default, bool):
        settings |= {"default": field.default, "show_default": True}
    if field.title:
        settings["metavar"] = field.title
    if Mark.REPEATED in field.metadata and not once:
        settings["multiple"] = True
        # One for all stores; without a default, none is given.
        settings |= {"default": [field.default]} if "default" in settings else {}
    if settings.get("callback"):
        flag = flag.removesuffix("s")  # one NAME=VALUE each time
    kind: type[click.Option] = settings.pop("cls", click.Option)
    return kind([flag, name], **settings)


def _kind(field: FieldInfo) -> dict[str, Any]:
    """What click has to know of the kind of a field."""
    # `int | None` is an `int` on the command line, where None is what is not given.
    kinds = {field.annotation, get_origin(field.annotation), *get_args(field.annotation)}
    checks = [getattr(item, "func", item) for item in field.metadata]
    for check in checks:
        if isinstance(check, OneOf):
            return {"type": Choice(check.names)}
        if isinstance(check, ByteCount):
            return {"type": str, "metavar": "BYTES"}
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
