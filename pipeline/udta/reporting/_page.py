"""A page for people: one HTML file that needs nothing beside it and no script, and its drawings as SVG files for other documents.

What comes out of files, such as names of classes, is escaped by jinja2 wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from udta._console.terminal import one_line, shown, utf8
from udta._files.atomic import new_folder, write_text
from udta.errors import ConfigError
from udta.reporting._svg import COLOURS, Chart


@dataclass(frozen=True)
class Cell:
    """A cell of a table: `note` stands small below `text`, `strong` marks the best of its kind."""

    text: str
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are `headings`; the first `left` columns are texts, the others figures."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str
    left: int = 1
    folded: bool = False  # behind its caption, until somebody opens it

    @property
    def cells(self) -> list[list[Cell]]:
        """Every cell as a `Cell`."""
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A picture: `source` a `data:` URI, `alt` what it shows, `lines` what stands below it."""

    source: str
    alt: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery:
    """Pictures beside each other."""

    pictures: Sequence[Picture]
    caption: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Missing:
    """A line that says what is not there, and why."""

    text: str


Block = str | Table | Chart | Gallery | Heading | Missing


@dataclass(frozen=True)
class Section:
    """A title and what stands below it, in order: headings, paragraphs, tables, charts, galleries, lines on what is missing."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """What follows `#` in a link to it."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


def write_page(
    out: Path, title: str, sections: Sequence[Section], *, summary: str = "", figures: Mapping[str, str] | None = None
) -> list[Path]:
    """Write the page, and its charts as `<stem>_files/<name>.svg` beside it, which take the place of those of before.

    Args:
        out: the HTML file.
        title: of the page.
        sections: in order; one without blocks is left out.
        summary: what the page says, in a sentence or two.
        figures: some that stand at the top, by what they are.

    Returns:
        The files that were written, the page last: where it is, its drawings are.

    Raises:
        ConfigError: jinja2 is not installed.
        OSError: the files cannot be written.
    """
    written = [section for section in sections if section.blocks]
    page = render(title, written, summary, figures or {})
    charts = [block for section in written for block in section.blocks if isinstance(block, Chart)]
    folder = out.with_name(f"{out.stem}_files")
    if charts:
        with new_folder(folder, replace=True) as inside:
            for chart in charts:
                write_text(inside / f"{chart.name}.svg", chart.file)
    write_text(out, page)
    return [*(folder / f"{chart.name}.svg" for chart in charts), out]


def render(title: str, sections: Sequence[Section], summary: str, figures: Mapping[str, str]) -> str:
    """The text of the page."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise ConfigError("pages need jinja2: pip install 'udta[report]'") from error
    environment = Environment(
        loader=PackageLoader("udta.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters["breakable"] = _breakable
    style = (files("udta.reporting") / "page.css").read_text(encoding="utf-8")
    template = environment.get_template("page.html.jinja")
    text = template.render(
        title=title,
        summary=summary,
        figures=dict(figures),
        sections=[(section, _runs(section.blocks)) for section in sections],
        style=_scheme(0) + style.replace("/* dark */", _scheme(1)),
    )
    return utf8(text)


def _visible(value: Any) -> Any:
    """Control characters, for which HTML has no place, and marks that turn the direction of reading, as Python writes them."""
    return shown(one_line(value)) if type(value) is str else value


def _breakable(text: str) -> Any:
    """A name, escaped, that may go on in the next line after `_`, `.`, `/` and the like."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([_./|,:-])(?=[^\s_./|,:-])", r"\1<wbr>", str(escape(shown(one_line(text))))))


def _scheme(number: int) -> str:
    return ":root{" + "".join(f"--{name}:{both[number]};" for name, both in COLOURS.items()) + "}"


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Blocks of one kind that follow each other, together: charts share a grid."""
    return [(kind, list(group)) for kind, group in groupby(blocks, lambda block: type(block).__name__)]
