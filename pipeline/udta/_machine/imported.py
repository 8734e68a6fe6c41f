"""Registries whose entries are imported when asked for: who wants names alone, as the help of a verb does, waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pkgutil import resolve_name
from typing import Generic, TypeVar

Line = TypeVar("Line")
Found = TypeVar("Found")


class Imported(Mapping[str, Found], Generic[Line, Found]):
    """What lines of a registry stand for, by name.

    Args:
        package: where the paths begin.
        lines: by name; what is added to them later is seen.
        path: of a line, as `module:attribute`.
    """

    def __init__(self, package: str, lines: Mapping[str, Line], path: Callable[[Line], str]) -> None:
        self._package, self._lines, self._path = package, lines, path

    def __getitem__(self, name: str) -> Found:
        found: Found = resolve_name(f"{self._package}.{self._path(self._lines[name])}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, name: object) -> bool:
        return name in self._lines  # else `Mapping` would import the module to find out
