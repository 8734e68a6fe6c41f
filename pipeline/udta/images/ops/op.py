"""What a transform operation is: a frozen value that turns one image into another, and how its arguments are written."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Op(ABC):
    """One operation. Its fields are its arguments: the keyword-only ones are written `name=value`.

    Each field's metadata says how its argument is read and what its bounds are: `whole`, `number`, `span` or `choice`.
    """

    name: ClassVar[str]
    is_random: ClassVar[bool] = False
    is_colour: ClassVar[bool] = False  # needs the three channels of RGB

    # Images stay Pillow's from one operation to the next, so that a chain of them copies nothing in between.
    @abstractmethod
    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The result on an image in RGB, or in grey unless `is_colour`; draws from `rng` only when `is_random`.

        Random numbers come from `Generator.random()` alone; see `views.view_rng`.
        """

    def output_size(self, size: Size | None) -> Size | None:
        """(height, width) that comes out when `size` goes in; None where that is not fixed."""
        return size

    @property
    def input_side(self) -> int | None:
        """The shorter side of an input that is large enough not to be enlarged; None where pixels count as they are."""
        return None

    def __str__(self) -> str:
        # Defaults are left out: whoever changes one changes what a feature is, and raises FEATURE_VERSION.
        given = [(part, getattr(self, part.name)) for part in fields(self)]
        words = [
            f"{part.name}={show(value)}" if part.kw_only else show(value)
            for part, value in given
            if value != part.default
        ]
        return f"{self.name}({','.join(words)})" if words else self.name


class Span(NamedTuple):
    """An interval, written `low..high`."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{show(self.low)}..{show(self.high)}"

    def at(self, fraction: float) -> float:
        """The value that lies `fraction` of the way from low to high."""
        return self.low + (self.high - self.low) * fraction


def show(value: object) -> str:
    """The shortest spelling that reads back as the same value."""
    # `1.0` and `1` are one value and must be one spelling: the string is part of a store's fingerprint.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole(low: int) -> Mapping[str, Callable[[str], int]]:
    """Metadata of a dataclass field: a whole number from `low` to 99999."""

    def parse(text: str) -> int:
        # `int` alone would take `1_0`, `+1` and digits of other scripts; without the bound on length, a million digits.
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) >= low):
            raise ValueError(f"a whole number from {low} to 99999")
        return int(text)

    return {"parse": parse}


def number(high: float) -> Mapping[str, Callable[[str], float]]:
    """Metadata of a dataclass field: a number over 0 and up to `high`."""

    def parse(text: str) -> float:
        value = _float(text)
        if not 0 < value <= high:
            raise ValueError(f"a number over 0 and up to {show(high)}")
        return value

    return {"parse": parse}


def span(high: float) -> Mapping[str, Callable[[str], Span]]:
    """Metadata of a dataclass field: an interval inside of (0, `high`]."""

    def parse(text: str) -> Span:
        low_text, _, high_text = text.partition("..")
        value = Span(_float(low_text), _float(high_text))
        if not 0 < value.low <= value.high <= high:
            raise ValueError(f"low..high with 0 < low <= high <= {show(high)}")
        return value

    return {"parse": parse}


def choice(names: Collection[str]) -> Mapping[str, Callable[[str], str]]:
    """Metadata of a dataclass field: one of `names`."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return {"parse": parse}


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # fails every bound, so that each argument has one message
