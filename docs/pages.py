"""What Sphinx is given beyond the Markdown of the pages: a table of contents, the reference, and links that lead outside.

Pages stay readable where they lie: the table of contents is made from the lists of `index.md`, and a comment
`<!-- made from the code: NAME -->` is where the reference of the command, of Python or of adapters goes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import reference

HERE = Path(__file__).parent
_MADE = re.compile(r"^<!-- made from the code: (\w+) -->$", re.MULTILINE)
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")


def contents(index: str) -> str:
    """A hidden table of contents for each section of the index: the pages that its list links to, in that order."""
    trees = []
    for title, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL):
        names = [
            Path(name).with_suffix("").as_posix() for name in re.findall(r"^- \[.*?\]\((.+?\.md)\)", section, re.M)
        ]
        if names:
            trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```"]))
    return "\n\n".join(trees)


def _read(_app: Any, page: str, source: list[str]) -> None:
    text = source[0]
    if page == "index":
        text += "\n" + contents(text)
    text = _MADE.sub(lambda found: reference.MADE[found[1]](), text)
    # Files of the repository that are no pages: their path is what helps, since the built pages may lie anywhere.
    source[0] = _OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2]}` in the repository)", text)


def _outdated(_app: Any, _environment: Any, *_pages: set[str]) -> list[str]:
    # The code may have changed where the page did not.
    return [page.stem for page in HERE.glob("*.md") if _MADE.search(page.read_text())]


def _skip(_app: Any, _kind: str, name: str, _value: Any, skip: bool, _options: Any) -> bool:
    # scikit-learn gives every estimator these three, with a docstring that refers to its own pages.
    return skip or bool(re.fullmatch(r"set_\w+_request", name))


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("env-get-outdated", _outdated)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
