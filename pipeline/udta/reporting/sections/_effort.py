"""Accuracy against what it takes: seconds of training, and bytes that are read for an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from udta.reporting._charts import Series, point_chart
from udta.reporting._material import MOST_RUNS, Compared, Material
from udta.reporting._page import Block, Missing
from udta.reporting._runs import Run
from udta.reporting.sections._words import bytes_, scaled, seconds, slug, unit
from udta.store import row_bytes
from udta.tasks import find_task


def effort(settings: Sequence[Compared], material: Material) -> list[Block]:
    """Two charts for settings of one task: a point for each adapter, the mean over the datasets that all have."""
    blocks: list[Block] = []
    task = find_task(settings[0].setting.task)
    for name, axis, measure, write in (
        ("time", "training time", _train_seconds, seconds),
        ("bytes", "bytes of an image that are read", bytes_read, bytes_),
    ):
        points = _points(settings, measure, material)
        if len(points) < 2:
            blocks.append(Missing(f"No chart of {unit(task)} against {axis}: fewer than two adapters have both."))
            continue
        said = "; ".join(f"{called}: {point.y[0]:.1f} for {write(point.x[0])}" for called, point in points.items())
        over = f"means over {len(settings)} datasets" if len(settings) > 1 else settings[0].title
        blocks.append(
            point_chart(
                slug("effort", name, task.name),
                points,
                axes=(axis, unit(task)),
                alt=f"{unit(task)} against {axis}. {said}.",
                caption=f"{unit(task)} against {axis}, {over}. Up and to the left is better.",
                write=write,
            )
        )
    return blocks


def bytes_read(run: Run) -> float | None:
    """Of one view of an image, as the taps that the adapter reads are stored."""
    return None if run.header is None else float(sum(row_bytes(tap) for tap in run.header.taps))


def _train_seconds(run: Run) -> float | None:
    return run.number("train_seconds")


def _points(
    settings: Sequence[Compared], measure: Callable[[Run], float | None], material: Material
) -> dict[str, Series]:
    """Of the adapters that every one of these settings has with both figures."""
    by_name: dict[str, list[tuple[float, float]]] = {}
    for each in settings:
        for run in each.runs:
            x, y = measure(run), run.value
            if x and y is not None:
                by_name.setdefault(run.name, []).append((x, scaled(y, run.task)))
    means = {name: np.mean(pairs, axis=0) for name, pairs in by_name.items() if len(pairs) == len(settings)}
    best = sorted(means, key=lambda name: -means[name][1])[:MOST_RUNS]
    return {
        name: Series([float(means[name][0])], [float(means[name][1])], number=material.numbers[name]) for name in best
    }
