"""Reference pages as Markdown, made from what they are about: click commands, public names, adapters, `params.yaml`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import click
from pydantic import BaseModel

import udta
import udta.errors
from udta.adapters import ADAPTERS
from udta.cli.main import command
from udta.config import Params

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def commands() -> str:
    """Every verb: what it does, how it is called, its options, the example of its help."""
    return "\n\n".join(_verb(name) for name in command.commands)


def _verb(name: str) -> str:
    verb = command.commands[name]
    context = click.Context(verb, info_name=f"udta {name}")
    parameters = verb.get_params(context)
    records = [param.get_help_record(context) for param in parameters if isinstance(param, click.Option)]
    usage = " ".join([f"udta {name}", *verb.collect_usage_pieces(context)])
    return "\n\n".join(
        [
            f"## udta {name}",
            f"```text\n{usage}\n```",
            _prose(verb.help or ""),
            _table(("option", "meaning"), [(f"`{names}`", _cell(text)) for names, text in filter(None, records)]),
            _block((verb.epilog or "").replace("\b\n", "").strip("\n")),
        ]
    )


def python() -> str:
    """Every public name by its docstring, and the reports that calls return."""
    values = {name: getattr(udta, name) for name in udta.__all__}
    kinds = {name: _kind(value) for name, value in values.items()}
    functions = [value for name, value in values.items() if kinds[name] == "autofunction"]
    returned = set().union(*(_reports(each, inspect.signature(each).return_annotation) for each in functions))
    reports = sorted(map(_place, returned - {*values.values()}))
    parts = []
    for kind, title in (("autofunction", "Functions"), ("autoclass", "Classes"), ("autodata", "Values")):
        names = [f"udta.{name}" for name in values if kinds[name] == kind]
        parts += [f"## {title}", *(_documented(kind, name) for name in names)] if names else []
    errors = [
        _place(each)
        for each in vars(udta.errors).values()
        if inspect.isclass(each) and issubclass(each, udta.UdtaError)
    ]
    parts += [
        "## Errors",
        "```{eval-rst}\n.. automodule:: udta.errors\n```",
        *(_documented("autoexception", name) for name in errors),
    ]
    parts += ["## What calls return", *(_documented("autoclass", name) for name in reports)]
    return "\n\n".join(parts)


def _kind(value: object) -> str:
    return "autoclass" if inspect.isclass(value) else "autofunction" if callable(value) else "autodata"


def _reports(value: Any, *annotations: str) -> set[type]:
    """The classes of our own in annotations, which are text, of what lies beside `value`; and those in their fields."""
    beside = vars(inspect.getmodule(value))
    names = {name for annotation in annotations for name in re.findall(r"\w+", annotation)}
    found = {beside[name] for name in names if inspect.isclass(beside.get(name))}
    ours = {each for each in found if each.__module__.startswith("udta.")}
    return ours.union(*(_reports(each, *inspect.get_annotations(each).values()) for each in ours))


def _place(value: type) -> str:
    return f"{value.__module__}.{value.__name__}"


def _documented(kind: str, name: str) -> str:
    options = {"autoclass": "   :members:\n", "autodata": "   :no-value:\n"}.get(kind, "")
    return f"### {name.rpartition('.')[2]}\n\n```{{eval-rst}}\n.. {kind}:: {name}\n{options}```"


def adapters() -> str:
    """Every adapter: what it says of itself, its options, its recipe."""
    parts = []
    for name, adapter in ADAPTERS.items():
        recipe = "Solved in closed form: it has no recipe." if adapter.closed_form else f"Recipe: `{adapter.recipe}`."
        options = adapter.options_type
        fields = _fields(options)
        told = _prose(inspect.getdoc(options) or "") + "\n\n" + fields if fields else "It has no options of its own."
        parts += [f"## {name}", _prose(inspect.getdoc(adapter) or ""), recipe, told]
    return "\n\n".join(parts)


def params() -> str:
    """Every table of `params.yaml` with its fields."""
    parts = []
    for name, field in Params.model_fields.items():
        # Of a table of entries, `dict[str, Model]`, the fields of one.
        model: Any = next((each for each in getattr(field.annotation, "__args__", ()) if each is not str), None)
        parts += [
            f"## {name}:",
            _prose(inspect.getdoc(model or field.annotation) or ""),
            _fields(model or field.annotation),
        ]
    return "\n\n".join(parts)


def _fields(model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
        # Bounds are of `annotated_types`: `Ge(ge=2)` and the like.
        bounds = [
            f"{words} {getattr(each, sign)}"
            for each in field.metadata
            for sign, words in _BOUNDS.items()
            if hasattr(each, sign)
        ]
        rows.append((f"`{name}`", default, _cell("; ".join(filter(None, [field.description or "", *bounds])))))
    return _table(("field", "default", "meaning"), rows) if rows else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _prose(text: str) -> str:
    """Text of a help or a docstring; click's mark for lines that stay as they are, and what Markdown would take for its own."""
    escaped = re.sub(r"(?<!`)([*<\[])", r"\\\1", inspect.cleandoc(text).replace("\b\n", ""))
    # What is between backticks is code already and stays as it is.
    return re.sub(r"`[^`]*`", lambda found: found[0].replace("\\", ""), escaped)


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", r"\|")


def _block(text: str) -> str:
    return f"```text\n{text}\n```" if text else ""


MADE: dict[str, Callable[[], str]] = {
    "commands": commands,
    "python": python,
    "adapters": adapters,
    "params": params,
}
