"""A transform string to its operations; the string is the one form in which transforms are written, logged and fingerprinted."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from udta.errors import ConfigError, Problems, did_you_mean
from udta.images.ops.op import Op
from udta.images.ops.pillow_ops import OPS


def parse_ops(text: str) -> tuple[Op, ...]:
    """The operations that `text` describes: `name(argument,...,name=value)` joined by `|`; white space is ignored.

    Raises:
        ConfigError: every operation or argument that is wrong, with what it should be.
    """
    problems = Problems()
    ops = [problems.collect(_parse_op, step.strip(), text) for step in text.split("|")]
    problems.raise_any()
    return tuple(op for op in ops if op is not None)  # none is None here: `raise_any` has raised


def _parse_op(step: str, text: str) -> Op:
    name, bracket, rest = step.partition("(")
    where = f"transform {text!r}, step {step!r}"
    name = name.strip()
    if not step:
        raise ConfigError(f"transform {text!r} has an empty step: write it like 'resize(256)|centre_crop(224)'")
    if name not in OPS:
        raise ConfigError(f"{where}: there is no operation {name!r}, {did_you_mean(name, OPS)}")
    if bracket and not rest.endswith(")"):
        raise ConfigError(f"{where}: it must end with the bracket that closes its arguments")
    # `flip` and `flip()` are the same; `resize(,)` is two empty arguments, and each is complained of.
    words = [word.strip() for word in rest[:-1].split(",")] if rest[:-1].strip() else []
    return _build(OPS[name], words, where)


def _build(op: type[Op], words: list[str], where: str) -> Op:
    """The operation with these arguments; every one that is wrong, missing or too many is reported."""
    positional = [part for part in fields(op) if not part.kw_only]
    keywords = {part.name: part for part in fields(op) if part.kw_only}
    values: dict[str, Any] = {}
    problems = Problems()
    ordered = [word for word in words if "=" not in word]
    if len(ordered) > len(positional):
        problems.add(f"{where}: {op.name} takes {_arguments(positional)}, but {len(ordered)} were given")
    # Not strict: too many were complained of above, too few are below.
    for part, word in zip(positional, ordered, strict=False):
        values[part.name] = problems.collect(_value, part, word, where)
    # A field without a default has dataclasses' MISSING here; that of `resize`'s width is None: it alone may be left out.
    problems.found += [
        f"{where}: {op.name} needs its argument {part.name!r}"
        for part in positional[len(ordered) :]
        if part.default is not None
    ]
    for word in words:
        key, equals, value = (piece.strip() for piece in word.partition("="))
        if not equals:
            continue
        if key not in keywords:
            hint = did_you_mean(key, keywords) if keywords else "it takes no named ones"
            problems.add(f"{where}: {op.name} has no named argument {key!r}, {hint}")
        elif key in values:
            problems.add(f"{where}: {key!r} is given twice")
        else:
            values[key] = problems.collect(_value, keywords[key], value, where)
    problems.raise_any()
    return op(**values)


def _value(part: Field[Any], word: str, where: str) -> Any:
    try:
        return part.metadata["parse"](word)
    except ValueError as error:
        raise ConfigError(f"{where}: {part.name} is {word!r}, but must be {error}") from None


def _arguments(positional: list[Field[Any]]) -> str:
    return "no argument" if not positional else " and ".join(f"`{part.name}`" for part in positional) + " at most"
