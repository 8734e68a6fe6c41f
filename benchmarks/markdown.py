"""How the pages that benchmarks write spell text, tables and figures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.accuracy_results import FIGURES


def wrapped(text: str) -> str:
    """A paragraph of lines of at most 130 characters."""
    return textwrap.fill(" ".join(text.split()), 130, break_long_words=False, break_on_hyphens=False) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A line for each row."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def pair(figures: Mapping[str, float]) -> str:
    """Both accuracies in per cent, of a single view and averaged."""
    return " / ".join(points(figures[key]) for key in FIGURES)


def points(fraction: float) -> str:
    """In per cent, without the sign."""
    return f"{100 * fraction:.1f}"


def per_cent(fraction: float | None) -> str:
    """Rounded; a dash where there is none."""
    return "-" if fraction is None else f"{100 * fraction:.0f} %"
