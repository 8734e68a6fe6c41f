"""Drawings as SVG whose colours are names: one drawing serves light, dark and print, in the page and as a file of its own.

Matplotlib draws in sentinel colours, which become `var(--ink, #1f2733)`; the page says what `--ink` is in each scheme, and where
nobody says it, the colour behind the comma counts.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from udta._console.terminal import one_line, shown
from udta.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# By name: in light, and in dark. Text has 7:1 on its paper, lines and marks 4.5:1 (WCAG 2.2, 1.4.6 and 1.4.11).
COLOURS: Mapping[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14181e"),
    "ink": ("#1f2733", "#e8ebef"),
    "muted": ("#4d5765", "#adb6c2"),
    "line": ("#d9dee5", "#343c47"),
    "series-1": ("#2563a8", "#7cb1ee"),
    "series-2": ("#b4560b", "#eda35c"),
    "series-3": ("#1c7a55", "#66c79e"),
    "series-4": ("#84429d", "#cb9be0"),
    "series-5": ("#ab2f45", "#ef8c9b"),
    "series-6": ("#16727f", "#67c5d3"),
    "series-7": ("#75591f", "#d3b573"),
    "series-8": ("#56606e", "#a5afbc"),
}
SERIES = tuple(name for name in COLOURS if name.startswith("series"))
MARKERS = "osD^vPX*"  # colour is never the only difference
WIDTH = 352  # CSS pixels: the width of a phone less its margins, so that text there is as large as it was drawn

# What matplotlib is told instead; no two differ by rounding alone.
_SENTINELS = {name: f"#01{number:02x}a7" for number, name in enumerate(COLOURS)}
_SETTINGS: Any = {  # matplotlib's own type for it names each key
    "axes.edgecolor": _SENTINELS["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": _SENTINELS["muted"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "font.size": 10.5,
    "grid.color": _SENTINELS["line"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "path.simplify": False,
    "svg.fonttype": "none",  # text stays text: it is read aloud, searched for and copied
    "text.color": _SENTINELS["ink"],
    "text.parse_math": False,  # a class may be called `$x$`
    "xtick.color": _SENTINELS["muted"],
    "ytick.color": _SENTINELS["muted"],
    "xtick.labelcolor": _SENTINELS["ink"],
    "ytick.labelcolor": _SENTINELS["ink"],
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
}
_SCHEMES = "".join(
    f"{scheme}{{svg{{background:{COLOURS['paper'][dark]};"
    + "".join(f"--{name}:{both[dark]};" for name, both in COLOURS.items())
    + "}}"
    for dark, scheme in enumerate(("@media all", "@media (prefers-color-scheme: dark)"))
)


@dataclass(frozen=True)
class Chart:
    """A drawing: `name` is that of its file, `svg` the element, `alt` what it says in a sentence, `caption` what stands below it.

    `wide` drawings take a line of the page for themselves.
    """

    name: str
    svg: str
    alt: str
    caption: str
    wide: bool = False

    @property
    def file(self) -> str:
        """The drawing as a file of its own, which brings the colours of both schemes."""
        opening, rest = self.svg.split(">", 1)
        return f"{opening}><style>{_SCHEMES}</style>{rest}\n"


def colour(name: str) -> str:
    """What to tell matplotlib for a colour of `COLOURS`."""
    return _SENTINELS[name]


def series(number: int) -> dict[str, Any]:
    """Colour and marker of a series, as keywords of matplotlib."""
    return {"color": colour(SERIES[number % len(SERIES)]), "marker": MARKERS[number % len(MARKERS)]}


def label(name: object, most: int = 26) -> str:
    """A name out of a file as it may stand in a drawing: on one line, no longer than so many letters."""
    text = shown(one_line(name))
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def drawing(height: int = 240, width: int = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    """A figure with axes, of so many CSS pixels, to draw in while the block lasts; see `chart`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("drawings need matplotlib: pip install 'udta[report]'") from error
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The browser has letters that matplotlib's font lacks; their widths are estimates here.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # Figures of their own, not pyplot's: that keeps a list of all, and looks for a display.
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        yield figure, figure.add_subplot()


def chart(figure: Figure, name: str, *, alt: str, caption: str) -> Chart:
    """The figure as a chart; call it inside the block of `drawing`."""
    import matplotlib as mpl

    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # ids are drawn at random otherwise, and no two reports were equal
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    body = _named_colours(_lean(written.getvalue(), name))
    style = f"width:{width}px;max-width:100%;height:auto;stroke-linejoin:round;font-family:var(--font, system-ui, sans-serif)"
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    said = escape(shown(one_line(alt)))
    opening = f'<svg {spaces} role="img" aria-label="{said}" viewBox="0 0 {width} {height}" style="{style}">'
    return Chart(name, opening + body + "</svg>", alt, caption, width > WIDTH)


def _lean(text: str, name: str) -> str:
    """What is inside of the `svg` element, without what nobody refers to, in hundredths of a pixel."""
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    # Its style sheet would be that of the whole page; what it says stands at the element.
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', body))
    # Two drawings of one page are one document: what is referred to carries the name of its drawing.
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(url\(|href=")#', rf"\1#{name}-", body)
    body = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), body)
    # The font of the page, not a list of those that matplotlib knows.
    body = re.sub(r"font-family: [^;\"]+;? ?", "", body)
    body = re.sub(r"(font: [^;\"]*?px) [^;\"]+", r"\1 var(--font, system-ui, sans-serif)", body)
    return re.sub(r"\n\s*", "\n", body)


def _named_colours(body: str) -> str:
    for name, sentinel in _SENTINELS.items():
        body = body.replace(sentinel, f"var(--{name}, {COLOURS[name][0]})")
    return body
