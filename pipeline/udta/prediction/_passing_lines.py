"""Lines of a table that go to no file: kept in memory, or written to a stream as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from udta._files.table_file import csv_text
from udta.prediction._table_lines import Line


@runtime_checkable
class Stream(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> object: ...


class PassingLines:
    """As `UnfinishedTable`, with nothing to go on with; `lines` are those that are kept."""

    def __init__(self, columns: Iterable[str], stream: Stream | None) -> None:
        self.done, self.lines, self.skipped = 0, list[Line](), dict[str, str]()
        self._stream = stream
        if stream is not None:
            stream.write(csv_text([list(columns)]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to close: the stream is the caller's."""

    def add(self, lines: Sequence[Line], images: int, skipped: Mapping[str, str]) -> None:
        """The lines of the next images."""
        self.done += images
        self.skipped |= skipped
        if self._stream is None:
            self.lines += lines
        else:
            self._stream.write(csv_text(lines))

    def finish(self) -> None:
        """Nothing is left to do."""
