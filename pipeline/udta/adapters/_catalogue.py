"""`udta.adapters`: which there are, and what can be said to each, as its own code has it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from udta._console.text_table import text_table
from udta.adapters.registry import ADAPTERS, find_adapter

if TYPE_CHECKING:
    from udta.adapters.base import Adapter

# What JSON Schema calls kinds and bounds, in words.
_KINDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "array": "list"}
_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


@dataclass(frozen=True)
class OptionInfo:
    """An option of an adapter: what it takes, in words; a `default` of None leaves it open to the adapter."""

    name: str
    kind: str
    default: Any
    meaning: str


@dataclass(frozen=True)
class AdapterInfo:
    """An adapter: `summary` is one sentence, `recipe` how it is trained by default, with the fields that can be changed.

    One that is solved in closed form takes no steps, and has `logit_adjustment` alone.
    """

    name: str
    summary: str
    closed_form: bool
    options: tuple[OptionInfo, ...]
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class AdapterReport:
    """The adapters that were asked for, in the order in which lists show them."""

    adapters: tuple[AdapterInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """What `udta adapters --json` prints."""
        return {"adapters": list(map(asdict, self.adapters))}

    def __str__(self) -> str:
        if len(self.adapters) == 1:
            return _described(self.adapters[0])
        rows = ((each.name, "solved" if each.closed_form else "steps", each.summary) for each in self.adapters)
        table = text_table(("adapter", "training", ""), rows, left=3, dashes=False)
        return f"{table}\n\n`udta adapters NAME` has its options and recipe; `--adapter auto` cross-validates some and picks."


def adapters(name: str | None = None) -> AdapterReport:
    """Which adapters there are, with the options and the recipe of each.

    Args:
        name: of one of them; all by default.

    Returns:
        Of each a sentence, its options with kind, default and meaning, and the fields of its recipe with their defaults.

    Raises:
        ConfigError: there is no adapter of this name; the nearest ones are given.

    Example:
        >>> [option.name for option in udta.adapters("ladder").adapters[0].options]
        ['width']
    """
    names = list(ADAPTERS) if name is None else [name]
    return AdapterReport(tuple(_info(find_adapter(each)) for each in names))


def _info(adapter: type[Adapter]) -> AdapterInfo:
    from udta.adapters.recipe_values import AFTERWARDS

    summary = (inspect.getdoc(adapter) or "").partition("\n")[0].removeprefix(f"`{adapter.name}`: ")
    # By pydantic, so that kinds and bounds are those that are checked.
    schema = adapter.options_type.model_json_schema()["properties"]
    options = tuple(
        OptionInfo(name, _kind(field), field.get("default"), field.get("description", ""))
        for name, field in schema.items()
    )
    recipe = {
        name: value for name, value in asdict(adapter.recipe).items() if not adapter.closed_form or name in AFTERWARDS
    }
    return AdapterInfo(adapter.name, summary, adapter.closed_form, options, recipe)


def _kind(schema: Mapping[str, Any]) -> str:
    """What a field takes; that it may be left open shows in its default."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " or ".join(schema["enum"])
    kind = _KINDS[schema["type"]]
    if "items" in schema:
        return f"{kind} of {_kind(schema['items'])}"
    return " ".join([kind, *(f"{word} {schema[bound]:g}" for bound, word in _BOUNDS.items() if bound in schema)])


def _described(info: AdapterInfo) -> str:
    # As they are typed: `--option width=64`.
    rows = (
        (option.name, "left open" if option.default is None else _typed(option.default), option.kind, option.meaning)
        for option in info.options
    )
    table = text_table(("option", "default", "takes", "meaning"), rows, left=4, dashes=False)
    recipe = ", ".join(f"{name}={_typed(value)}" for name, value in info.recipe.items())
    how = "solved in closed form; of a recipe it has" if info.closed_form else "recipe:"
    return "\n".join(
        [f"{info.name}: {info.summary}", "", *([table] if info.options else ["no options"]), "", f"{how} {recipe}"]
    )


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
