"""Tables for people who read a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from udta._console.terminal import terminal_width

_INDENT, _GAP = " " * 4, 2

# The `simple` format of tabulate keeps two more columns free beside each heading, which makes a table of twelve wider than the
# 120 columns of a terminal; without padding, and with the headings as a row like the others, it does not.
_FORMAT = TableFormat(
    lineabove=None,
    linebelowheader=Line("", "-", "  ", ""),
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("", "  ", ""),
    datarow=DataRow("", "  ", ""),
    padding=0,
    with_header_hide=None,
)


def text_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, dashes: bool = True, fold: bool = True
) -> str:
    """Lines with aligned columns, two spaces between them and dashes under the headings; no newline at the end.

    On a terminal that is too narrow, columns that have no room go on in a line below, indented: nothing is left out.

    Args:
        headings: of the columns.
        rows: the cells of each line, as many as headings and formatted already. Names in them come from files: `one_line` and
            `messages.say` keep them from breaking lines or driving the terminal.
        left: so many columns begin at the same place, as texts do; the others end there, as figures do.
        dashes: whether there is a line of them, which a table of a few lines does without.
        fold: whether it is for a terminal, and not for a file.
    """
    lines, width = [tuple(headings), *(tuple(row) for row in rows)], terminal_width() if fold else None
    table = _aligned(lines, left, dashes)
    if width is None or max(map(len, table)) <= width:
        return "\n".join(table)
    parts = [
        [
            f"{_INDENT * bool(first)}{text}"
            for text in _aligned([line[first:last] for line in lines], left - first, False)
        ]
        for first, last in _groups([max(map(len, column)) for column in zip(*lines, strict=True)], width)
    ]
    return "\n".join(text for row in zip(*parts, strict=True) for text in row if text.strip())


def _aligned(lines: Sequence[Sequence[str]], left: int, dashes: bool) -> list[str]:
    left = min(max(left, 0), len(lines[0]))
    table = tabulate(
        [list(lines[0]), *([SEPARATING_LINE] if dashes else []), *map(list, lines[1:])],
        tablefmt=_FORMAT,
        colalign=("left",) * left + ("right",) * (len(lines[0]) - left),
        disable_numparse=True,  # `1e5` is the name of an adapter as well, and 0.50 is not 0.5
        preserve_whitespace=True,  # an indent within a cell is meant
    )
    return [line.rstrip() for line in table.split("\n")]  # not `splitlines`: a class may have U+2028 in it


def _groups(widths: Sequence[int], most: int) -> list[tuple[int, int]]:
    """First and behind the last of the columns that share a line: as many as have room, and one at the least."""
    groups, first, used = [], 0, 0
    for column, width in enumerate(widths):
        if column > first and used + _GAP + width > most:
            groups.append((first, column))
            first, used = column, len(_INDENT)
        used += width + _GAP * (column > first)
    return [*groups, (first, len(widths))]
