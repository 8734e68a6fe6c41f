"""Tables for people who read a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

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


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, dashes: bool = True) -> str:
    """Lines with aligned columns, two spaces between them and dashes under the headings; no newline at the end.

    Args:
        headings: of the columns.
        rows: the cells of each line, as many as headings and formatted already. Names in them come from files: `one_line` and
            `messages.say` keep them from breaking lines or driving the terminal.
        left: so many columns begin at the same place, as texts do; the others end there, as figures do.
        dashes: whether there is a line of them, which a table of a few lines does without.
    """
    aligned = ("left",) * left + ("right",) * (len(headings) - left)
    table = tabulate(
        [list(headings), *([SEPARATING_LINE] if dashes else []), *(list(row) for row in rows)],
        tablefmt=_FORMAT,
        colalign=aligned,
        disable_numparse=True,  # `1e5` is the name of an adapter as well, and 0.50 is not 0.5
        preserve_whitespace=True,  # an indent within a cell is meant
    )
    return "\n".join(line.rstrip() for line in table.split("\n"))  # not `splitlines`: a class may have U+2028 in it
