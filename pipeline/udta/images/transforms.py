"""Transforms as short strings, `resize(256)|centre_crop(224)`: readable, loggable, and part of a store's fingerprint."""

from __future__ import annotations

from dataclasses import Field, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from udta.errors import ConfigError, Problems, did_you_mean
from udta.images.ops import OPS, Op, Size


@dataclass(frozen=True)
class Transform:
    """A chain of operations. `str` gives its one canonical spelling, which `parse` reads back as an equal value."""

    ops: tuple[Op, ...]

    @classmethod
    def parse(cls, text: str) -> Transform:
        """The transform that `text` describes: operations `name(argument,...,name=value)` joined by `|`.

        White space is ignored; the operations and their arguments are described in `udta.images.ops`.

        Raises:
            ConfigError: every operation or argument that is wrong, with what it should be.
        """
        problems = Problems()
        ops = [problems.collect(_parse_op, step.strip(), text) for step in text.split("|")]
        problems.raise_any()
        return cls(tuple(op for op in ops if op is not None))

    def __str__(self) -> str:
        return "|".join(map(str, self.ops))

    @property
    def is_random(self) -> bool:
        """Whether any operation draws random numbers."""
        return any(op.is_random for op in self.ops)

    @property
    def size(self) -> Size | None:
        """(height, width) of every output, or None where it depends on the input."""
        size: Size | None = None
        for op in self.ops:
            size = op.output_size(size)
        return size

    @property
    def input_side(self) -> int | None:
        """How large the shorter side of an image should be at least, where the first operation resizes; else None."""
        return self.ops[0].input_side

    def apply(self, picture: Image.Image, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
        """The transformed RGB image, uint8; the result depends on the image and the state of `rng` alone.

        Raises:
            ImageError: an image so elongated that `resize` would make it too large to hold.
        """
        for op in self.ops:
            picture = op.apply(picture, rng)
        return np.array(picture)


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
    for part, word in zip(positional, ordered, strict=False):
        values[part.name] = problems.collect(_value, part, word, where)
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
