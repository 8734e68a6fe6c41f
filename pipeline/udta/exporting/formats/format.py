"""What a format of an export says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from udta.errors import ConfigError
from udta.exporting._selection import Selection

# Called with what is done and all there is, in rows (rows times taps, where a format reads tap by tap).
Progress = Callable[[int, int], None]
# What says which image a row of the data is. A format whose own files lack one of these gets an index.csv with all of them.
INDEX = ("row", "id", "label", "class", "split")


@dataclass(frozen=True)
class Format:
    """One way to write a selection.

    Attributes:
        name: as `--to` has it.
        write: fills a new, empty folder with a selection, in memory that does not depend on its size. The folder gets its name
            when it returns; when it raises, nothing is left.
        columns: names that stand beside those of the taps in the same file, so that no tap may be called so.
        dtype: of the values, where the user asks for none; None is the stored one (float16 for codes, float32 for bfloat16).
        views: which views, where the user asks for none.
        is_store: bits as they are stored, and no manifest and index beside them, because a store has its own.
        refuse: raises `ConfigError` for a selection that the format cannot hold for another reason than `columns`.
    """

    name: str
    write: Callable[[Path, Selection, Progress], None]
    columns: tuple[str, ...] = ()
    dtype: Literal["float16", "float32"] | None = None
    views: Literal["all"] | int = 0
    is_store: bool = False
    refuse: Callable[[Selection], None] = lambda selection: None

    # Derived, so that a format which adds a column says so once.
    @property
    def has_index(self) -> bool:
        """Whether the data say themselves which image each row is."""
        return self.is_store or set(INDEX) <= set(self.columns)

    def check(self, selection: Selection) -> None:
        """Raise `ConfigError` when the format cannot hold a selection."""
        taken = [tap.name for tap in selection.taps if tap.name in self.columns]
        if taken:
            raise ConfigError(
                f"tap {taken[0]!r} is called as a column of {self.name} is: export it to another format, or leave it out"
            )
        self.refuse(selection)
