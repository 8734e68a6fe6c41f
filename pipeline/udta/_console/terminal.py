"""Text on its way to a terminal: what is data there never moves the cursor, changes a colour or turns the direction of reading.

Names of files and classes may hold any character, and errors and tables quote them. They are escaped where text is printed, by
`udta._console.messages.say`, and nowhere else: files, tables and JSON keep every name as it is.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable

# C0 but tab and newline, DEL, C1, the marks and overrides of direction, line and paragraph separators, lone surrogates (the
# bytes of a file name that is not UTF-8, which no terminal could be sent).
_DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is, or what `COLUMNS` says of it; None for a pipe, whose lines are as long as
    they are.
    """
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shown(text: str) -> str:
    r"""The same text with dangerous characters as Python writes them, such as `\x1b`."""
    return _DANGEROUS.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(name: object) -> str:
    r"""A name within a line: with a newline in it, it could pass for a line of ours."""
    return str(name).replace("\n", r"\n").replace("\t", r"\t")


def first_few(names: Iterable[object], limit: int = 5) -> str:
    """`a, b, c, d, e and 12 more`, for errors about many files; bytes that are not UTF-8 are escaped."""
    every = [one_line(name) for name in names]
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return utf8(", ".join(every[:limit])) + more


def utf8(text: str) -> str:
    r"""The same text with what UTF-8 cannot say as `\udc80`: a log or a JSON file could not hold it."""
    return text.encode(errors="backslashreplace").decode()
