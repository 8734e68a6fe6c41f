"""Names out of data files are data: what a tap, an image, a class or a split may be called, how other systems spell a path, how
names of classes are ordered, and how deep a document may be.

A tap's name becomes part of a path in a store and in an export, so it may not lead anywhere. An image's name is looked up below a
folder. Control characters are legal in the names of files, classes and splits: they are kept as they are, and it is the
terminal's matter not to be driven by them (`udta._console.terminal`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

# What `json` nests by itself ends in a RecursionError at about a thousand, in whatever walks through it later.
DEEPEST = 32
UNLABELLED = "unlabelled"  # the split of images that had no class when they were listed
# Up to 18 digits, which fit into 64 bits; longer ones are serial numbers, and sorted as texts.
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
LONGEST_TAP = 200  # a file system takes 255 bytes, of which an ending and a temporary suffix need some


def tap_problem(name: str) -> str | None:
    """Why no tap can be called so, or None: a module's path such as `features.13`, which has no empty part and no slash."""
    if not all(name.split(".")) or len(name.encode(errors="replace")) > LONGEST_TAP:
        return f"a tap cannot be called {name[:80]!r}: it is a module's path such as 'features.13', {LONGEST_TAP} bytes at most"
    # `errors="replace"` above: a lone surrogate has no length in UTF-8; it is refused here, since it is not printable.
    if not name.isprintable() or set(name) & set("/\\"):
        return f"a tap cannot be called {name!r}: slashes and control characters cannot stand in the name of a file"
    # The metadata of the group that the taps' arrays lie in, and what `atomic` takes for a file that nobody finished.
    if name == "zarr.json" or name.endswith(".partial"):
        return f"a tap cannot be called {name!r}: in a store, that is the name of a file of another kind"
    return None


def path_problem(names: Collection[str]) -> str | None:
    """Why these cannot be paths of images relative to a folder, or None.

    `..` is allowed as the first parts, as a table of images in other folders has it; who looks a file up has to mind it.
    """
    if not names:
        return None
    joined = "\0" + "\0".join(names) + "\0"  # one search in all of them: a million names take 0.1 s
    if joined.count("\0") != len(names) + 1:
        return "the name of an image holds a NUL character"
    if text_problem(joined):
        return "the name of an image is not Unicode"
    for part, what in (("\0\0", "empty"), ("\0/", "an absolute path"), ("/\0", "that of a folder")):
        if part in joined:
            return f"the name of an image is {what}"
    if any(part in joined for part in ("/./", "\0./", "/.\0", "\0.\0", "//", "/..\0", "\0..\0")):
        return "the name of an image is no plain relative path"
    if "/../" in joined and any(_turns_back(name) for name in names):
        return "the name of an image goes down and up again"
    return None


def text_problem(text: str) -> str | None:
    """Why a text cannot be written in UTF-8, or None."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{text[:80]!a} is not Unicode"
    return None


def labels_problem(names: Sequence[str], what: str) -> str | None:
    """Why these cannot be the names of classes or splits (`what`), or None; a class stands once."""
    for name in names:
        if "\0" in name:
            return f"the {what} {name[:80]!r} holds a NUL character"
        if problem := text_problem(name):
            return f"the {what} {problem}"
    if what == "class" and len(set(names)) < len(names):
        return "two classes have the same name"
    return None


def document_problem(document: object) -> str | None:
    """Why this cannot be what a JSON file of ours holds, or None: nested too deeply, or a number that JSON does not have."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        # Exact types first: a ledger of a million images is two million texts, and a check for `Mapping` takes 0.4 us.
        level = [value for value in level if type(value) is not str and type(value) is not int]
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            return "it holds a number that is not finite"
        inner = [value for value in level if isinstance(value, list | tuple | Mapping)]
        if not inner:
            return None
        level = [child for value in inner for child in (value.values() if isinstance(value, Mapping) else value)]
    return f"it is nested more than {DEEPEST} deep"


def other_spellings(name: str) -> Iterator[str]:
    """How another system may have written a path: backslashes (Windows), accents as signs of their own (macOS)."""
    # HFS+ stores accents decomposed, and zip files of a Mac carry them so; keyboards and most other systems compose them.
    for path in dict.fromkeys((name, name.replace("\\", "/"))):
        for form in ("NFC", "NFD"):
            spelling = unicodedata.normalize(form, path)
            if spelling != name:
                yield spelling
        if path != name:
            yield path


def class_order(names: Collection[str]) -> list[str]:
    """Class names in the order of their numbers: whole numbers by value, anything else by the alphabet."""
    # By the alphabet 10 comes before 2, and a set of digits or of numbered folders would be numbered in a way nobody expects.
    distinct = set(names)
    if all(_INTEGER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=lambda name: (int(name), name))  # `01` and `1` are two classes
    return sorted(distinct)


def _turns_back(name: str) -> bool:
    parts = name.split("/")
    return ".." in parts[next((index for index, part in enumerate(parts) if part != ".."), len(parts)) :]
