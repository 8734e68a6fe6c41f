"""The kinds of charts: intervals, bars, lines, points and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from udta.reporting._svg import WIDTH, Chart, chart, colour, drawing, label, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 18  # pixels of a line of a chart that has one for each name
_AROUND = 56  # axis, its label, margins


@dataclass(frozen=True)
class Series:
    """Points of one name; `low` and `high` are the ends of intervals, where there are some.

    `number` is that of its colour and marker, so that an adapter has the same in all charts; by default the place in its chart.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    number: int | None = None


def interval_chart(
    name: str, rows: Sequence[str], by_series: Mapping[str, Series], *, axis: str, alt: str, caption: str
) -> Chart:
    """A line for each of `rows`, and on it a mark for each series: its `x`, with its interval; `y` says which row, from 0.

    Accuracies of 90 and 95 are told apart here: marks have no foot, so that the axis need not begin at 0.
    """
    each = max(24, 7 * len(by_series) + 10)
    with drawing(each * len(rows) + _AROUND + 24 * -(-len(by_series) // 3)) as (figure, axes):
        for number, (called, points) in enumerate(by_series.items()):
            shift = (number - (len(by_series) - 1) / 2) * 0.76 / len(by_series)
            y, style = np.asarray(points.y, dtype=float) + shift, _style(number, points)
            if points.low is not None and points.high is not None:
                axes.hlines(y, points.low, points.high, color=style["color"], linewidth=1.4)
            axes.plot(points.x, y, linestyle="none", markersize=4.5, label=label(called, 18), **style)
        axes.set_yticks(range(len(rows)), [label(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis)
        _legend(figure, axes, len(by_series))
        return chart(figure, name, alt=alt, caption=caption)


def bar_chart(
    name: str, values: Mapping[str, float], *, axis: str, alt: str, caption: str, limit: float | None = None
) -> Chart:
    """A bar for each name, from 0; `limit` is where the axis ends."""
    with drawing(max(90, _LINE * len(values) + _AROUND)) as (figure, axes):
        axes.barh(range(len(values)), list(values.values()), height=0.66, color=colour("series-1"))
        axes.set_yticks(range(len(values)), [label(each) for each in values])
        axes.set_ylim(len(values) - 0.4, -0.6)
        if limit is not None:
            axes.set_xlim(min(0.0, *values.values(), 0.0), limit)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis)
        return chart(figure, name, alt=alt, caption=caption)


def line_chart(
    name: str,
    by_series: Mapping[str, Series],
    *,
    axes: tuple[str, str],
    alt: str,
    caption: str,
    log: bool = False,
    ticks: Mapping[float, str] | None = None,
    diagonal: bool = False,
) -> Chart:
    """A line for each series, with a band where it has intervals.

    Args:
        name: of the file.
        by_series: by what they are called.
        axes: what stands at the horizontal and at the vertical one.
        alt: what the chart says.
        caption: what stands below it.
        log: whether the horizontal axis is logarithmic.
        ticks: texts of the horizontal axis by where they stand.
        diagonal: whether a line from (0, 0) to (1, 1) is drawn, where both are the same.
    """
    with drawing(250 + 18 * -(-len(by_series) // 3)) as (figure, plot):
        if diagonal:
            plot.plot([0, 1], [0, 1], color=colour("muted"), linewidth=1, linestyle=(0, (3, 3)))
        for number, (called, points) in enumerate(by_series.items()):
            style = _style(number, points)
            few = len(points.x) <= 20  # marks on forty epochs are a caterpillar
            style = (
                style
                if few
                else {"color": style["color"], "linestyle": _DASHES[(points.number or number) % len(_DASHES)]}
            )
            plot.plot(points.x, points.y, linewidth=1.6, markersize=4, label=label(called, 18), **style)
            if points.low is not None and points.high is not None:
                plot.fill_between(points.x, points.low, points.high, color=style["color"], alpha=0.15, linewidth=0)
        if log:
            plot.set_xscale("log")
        if ticks:
            plot.set_xticks(list(ticks), [label(text) for text in ticks.values()], minor=False)
            plot.set_xticks([], minor=True)
        plot.set_xlabel(axes[0])
        plot.set_ylabel(axes[1])
        _legend(figure, plot, len(by_series))
        return chart(figure, name, alt=alt, caption=caption)


def point_chart(
    name: str,
    by_series: Mapping[str, Series],
    *,
    axes: tuple[str, str] = ("", ""),
    alt: str,
    caption: str,
    write: Callable[[float], str] | None = None,
    size: float = 7,
    box: tuple[int, int] = (WIDTH, 270),
) -> Chart:
    """A dot for each point of each series; without names at the axes there are none, as of a map of an embedding.

    With `write`, which says a number in words, the horizontal axis is logarithmic.
    A dot takes some 30 bytes of the page: ten thousand of them are a third of a megabyte.
    """
    with drawing(box[1] + 18 * -(-len(by_series) // 3), box[0]) as (figure, plot):
        for number, (called, points) in enumerate(by_series.items()):
            style = _style(number, points)
            if len(points.x) > 40:
                # A line that goes nowhere, with a round end, is a dot; as marks, each would be an element and a style.
                x, y = (_dots(values) for values in (points.x, points.y))
                plot.plot(x, y, color=style["color"], linewidth=size / 2, solid_capstyle="round", alpha=0.75)
                plot.plot([], [], linestyle="none", markersize=size, label=label(called, 18), **style)
            else:
                plot.plot(points.x, points.y, linestyle="none", markersize=size, label=label(called, 18), **style)
        if write:
            _log_axis(plot, [x for points in by_series.values() for x in points.x], write)
        if any(axes):
            plot.set_xlabel(axes[0])
            plot.set_ylabel(axes[1])
        else:
            plot.set_axis_off()
        _legend(figure, plot, len(by_series))
        return chart(figure, name, alt=alt, caption=caption)


def matrix_chart(
    name: str, counts: Float[np.ndarray, "rows columns"], names: Sequence[str], *, alt: str, caption: str
) -> Chart:
    """Shares of each row, darker the larger they are; what is 0 takes no place in the file."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    side = int(np.clip(9.5 * len(names) + 130, WIDTH, 760))
    with drawing(side, side) as (figure, axes):
        rows, columns = np.nonzero(shares > 0)
        cells = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in zip(rows, columns, strict=True)]
        # The diagonal in another colour: what is wrong stands out, as faint as it may be.
        hues = ["series-1" if row == column else "series-2" for row, column in zip(rows, columns, strict=True)]
        paint = [
            to_rgba(colour(hue), 0.25 + 0.75 * share) for hue, share in zip(hues, shares[rows, columns], strict=True)
        ]
        axes.add_collection(PatchCollection(cells, facecolors=paint, linewidths=0))
        small = 7.5 if len(names) > 15 else 9.5
        axes.set_xticks(range(len(names)), [label(each, 20) for each in names], rotation=90, fontsize=small)
        axes.set_yticks(range(len(names)), [label(each, 20) for each in names], fontsize=small)
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axes.set(xlabel="predicted", ylabel="true")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        return chart(figure, name, alt=alt, caption=caption)


_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


def _style(number: int, points: Series) -> dict[str, Any]:
    return series(number if points.number is None else points.number)


def _log_axis(plot: Axes, values: Sequence[float], write: Callable[[float], str]) -> None:
    """Logarithmic, with a tick at 1, 2 and 5 of each power of ten, or at 1 alone of many; at least one on either side."""
    plot.set_xscale("log")
    low, high = np.log10(min(values)), np.log10(max(values))
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    powers = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 2)
    ticks = np.array([step * 10.0**power for power in powers for step in steps])
    first = max(0, int(np.searchsorted(ticks, min(values), "right")) - 1)
    last = int(np.searchsorted(ticks, max(values)))
    plot.set_xlim(min(ticks[first], min(values)) / 1.15, max(ticks[last], max(values)) * 1.15)
    plot.set_xticks(ticks[first : last + 1], [write(tick) for tick in ticks[first : last + 1]])
    plot.set_xticks([], minor=True)


def _dots(values: Sequence[float]) -> Float[np.ndarray, " thrice"]:
    found = np.asarray(values, dtype=float)
    return np.stack([found, found, np.full_like(found, np.nan)], axis=1).ravel()


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    if count > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=9.5)
