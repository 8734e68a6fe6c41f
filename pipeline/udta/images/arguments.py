"""The arguments of a transform operation: their values, their bounds, and how each is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple


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
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole(low: int) -> Mapping[str, Callable[[str], int]]:
    """Metadata of a dataclass field: a whole number from `low` to 99999."""

    def parse(text: str) -> int:
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
