"""Pieces of text that summaries have in common; names come from files, so each stays within its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from udta._console.terminal import first_few, one_line


def field_of(document: Mapping[str, Any], *names: str) -> str:
    """A field of nested tables, by the names that lead to it, or `unknown`: what was made by hand need not have it."""
    field: Any = document
    for name in names:
        field = field.get(name) if isinstance(field, Mapping) else None
    return "unknown" if field is None else one_line(field)


def classes_text(classes: Sequence[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(classes)}: {', '.join(map(one_line, classes[:8]))}{', ...' * (len(classes) > 8)}"


def taps_lines(taps: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each tap, of what `TapSpec.to_json` gives."""
    return [
        f"tap       {tap['name']} = {tap['reducer']} {'x'.join(map(str, tap['shape']))} {tap['dtype']}" for tap in taps
    ]


def backbone_lines(fingerprint: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """Which backbone it was, with which weights, and what it was given."""
    # Twelve digits tell any weights apart that somebody has; the JSON has all 64.
    weights = field_of(fingerprint, "backbone", "weights")[:12]
    # Where they were found by a name, which of those that are published.
    published = (
        [f"weights   {one_line(source['id'])} at {one_line(source.get('revision'))}"] if source.get("id") else []
    )
    return [
        f"backbone  {field_of(fingerprint, 'backbone', 'factory')}, weights sha256 {weights}...",
        *published,
        f"input     {field_of(fingerprint, 'input', 'evaluate')}",
    ]


def settings_text(settings: Mapping[str, Any]) -> str:
    """`epochs=40, lr=0.001`."""
    return one_line(", ".join(f"{name}={value}" for name, value in settings.items())) or "none"


def names_text(names: Sequence[object]) -> str:
    """The first three, and how many more there are."""
    return first_few(names, 3)
