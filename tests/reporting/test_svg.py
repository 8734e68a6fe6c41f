"""Drawings: colours with names, text as text, and nothing that would differ from one report to the next."""

from xml.etree import ElementTree

import numpy as np
import pytest

from udta.reporting._charts import Series, bar_chart, interval_chart, line_chart, matrix_chart, point_chart

SAID = {"alt": 'what "it" says & more', "caption": "caption"}
HOSTILE = "<b>$x_1$ & \x1b[31m\n" + 40 * "long"
MAKERS = {
    "intervals": lambda: interval_chart(
        "intervals", ["one", HOSTILE], {"a": Series([0.2, 0.3], [0, 1], [0.1, 0.2], [0.3, 0.4])}, axis="x", **SAID
    ),
    "bars": lambda: bar_chart("bars", {"one": 0.5, HOSTILE: 0.7}, axis="recall", limit=1, **SAID),
    "lines": lambda: line_chart(
        "lines",
        {HOSTILE: Series([1, 2], [0.1, 0.2], [0, 0], [1, 1]), "b": Series([1, 2], [2, 3])},
        axes=("x", "y"),
        **SAID,
    ),
    "points": lambda: point_chart("points", {"a": Series(range(50), range(50)), HOSTILE: Series([1], [2])}, **SAID),
    "matrix": lambda: matrix_chart("matrix", np.array([[3, 1], [0, 4]]), ["one", HOSTILE], **SAID),
}


@pytest.mark.parametrize("kind", list(MAKERS))
def test_a_chart_is_lean_svg_whose_colours_the_page_names(kind):
    chart = MAKERS[kind]()
    root = ElementTree.fromstring(chart.file)
    assert root.get("aria-label") == SAID["alt"]
    assert root.get("role") == "img"
    texts = " ".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "<b>$x_1$ & \\x1b[3" in texts  # as it stands, not as mathematics, markup or terminal control
    assert "long" * 40 not in texts
    assert "var(--ink, #" in chart.svg
    assert "#01" not in chart.svg.replace('"#', "")  # no sentinel is left
    assert "DejaVu" not in chart.svg
    assert all(f' id="{kind}-' in piece for piece in _with_id(chart.svg))


def test_the_same_figures_make_the_same_bytes():
    assert MAKERS["lines"]() == MAKERS["lines"]()


def test_a_thousand_points_are_few_bytes():
    x = np.linspace(0, 1, 1000)
    assert len(point_chart("map", {"a": Series(x, x**2)}, **SAID).svg) < 60_000


def _with_id(svg):
    return [piece for piece in svg.split("<") if ' id="' in piece]
