"""Which adapter is how good on which dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from udta.reporting._charts import Series, interval_chart
from udta.reporting._material import MOST_RUNS, Compared, Material
from udta.reporting._page import Block, Cell, Missing, Table
from udta.reporting._runs import Run, figure_name
from udta.reporting.sections._effort import effort
from udta.reporting.sections._words import NOTHING, scaled, slug, unit, written, written_interval
from udta.tasks import Task, find_task

_MOST_ROWS = 200  # of a long table


def results(material: Material) -> list[Block]:
    """A table for each task, charts of the same figures, and of what they take."""
    backbones = {each.setting.backbone for each in material.settings}
    blocks: list[Block] = [f"All features are of {name}." for name in backbones if name and len(backbones) == 1]
    for task_name in dict.fromkeys(each.setting.task for each in material.settings):
        settings = [each for each in material.settings if each.setting.task == task_name]
        names = [name for name in material.numbers if any(run.name == name for each in settings for run in each.runs)]
        blocks.append(_matrix(settings, names) if len(names) <= MOST_RUNS else _long(settings))
        if len(names) <= MOST_RUNS and any(run.value is not None for each in settings for run in each.runs):
            blocks.append(_chart(settings, names, material))
        blocks += effort(settings, material)
    if not material.settings:
        blocks.append(Missing("No runs were given, so there are no results: these are stores alone."))
    return blocks


def headline(material: Material) -> str:
    """What won, in a sentence."""
    settings = [each for each in material.settings if each.best.value is not None]
    if not settings:
        return f"{len(material.stores)} store(s), and no run with figures of a test split."
    if len(settings) == 1:
        return _one(settings[0])
    same = [each for each in settings if each.setting.task == settings[0].setting.task]
    means = sorted(_shared(same).items(), key=lambda item: -item[1])
    if len(same) == 1 or not means:
        return "; ".join(f"{each.title}: {each.best.name} reaches {_said(each.best)}" for each in settings[:4]) + "."
    (winner, mean), task = means[0], find_task(same[0].setting.task)
    firsts = sum(any(run.name == winner and run.value == each.best.value for run in each.runs) for each in same)
    text = f"{winner} reaches {_figure(mean, task)} on average over {len(same)} datasets"
    if len(means) == 1:
        return f"{text}."
    (second, below), gap = means[1], scaled(mean - means[1][1], task)
    text += f", {_points(gap, task)} above {second}" if mean > below else f", as does {second}"
    every = "all of them" if firsts == len(same) else f"{firsts} of them"
    return f"{text}, and has the highest figure on {every}."


def top_figures(material: Material) -> dict[str, str]:
    """What stands in large figures at the top."""
    runs = [run for each in material.settings for run in each.runs]
    figures = {}
    if runs:
        figures[
            "datasets" if len({each.setting.backbone for each in material.settings}) == 1 else "datasets and backbones"
        ] = str(len(material.settings))
        figures["trained adapters"] = str(len(runs))
    best = [each.best for each in material.settings if each.best.value is not None]
    if len({run.setting.task for run in best}) == 1:
        mean = float(np.mean([run.value for run in best if run.value is not None]))
        figures[f"{unit(best[0].task)}, mean of the best"] = written(mean, best[0].task)
    trained = [found for run in runs if (found := run.number("train_seconds")) is not None]
    if trained:
        figures["seconds of training, median"] = f"{np.median(trained):.1f}"
    if material.stores:
        figures["images in stores"] = f"{sum(map(len, material.stores)):,}"
    return figures


def _one(compared: Compared) -> str:
    best, others = compared.best, [run for run in compared.runs[1:] if run.value is not None]
    text = f"{best.name} reaches {_said(best)} on {compared.title}"
    if others and best.value is not None and others[0].value is not None:
        gap = scaled(best.value - others[0].value, best.task)
        text += f", {_points(gap, best.task)} above {others[0].name}" if gap else f", as does {others[0].name}"
    return f"{text}."


def _said(run: Run) -> str:
    interval = written_interval(run)
    return _figure(run.value, run.task) + (f" ({interval})" if interval else "")


def _figure(value: float | None, task: Task) -> str:
    name = figure_name(task)
    return f"{name} {written(value, task)}" if task.in_units else f"{written(value, task)} % {name}"


def _points(gap: float, task: Task) -> str:
    return f"{gap:.2g}" if task.in_units else f"{gap:.1f} points"


def _shared(settings: Sequence[Compared]) -> dict[str, float]:
    """The mean over settings of the runs that there are, with a figure, in each of them."""
    by_name: dict[str, list[float]] = {}
    for each in settings:
        for run in each.runs:
            if run.value is not None:
                by_name.setdefault(run.name, []).append(run.value)
    return {name: float(np.mean(values)) for name, values in by_name.items() if len(values) == len(settings)}


def _matrix(settings: Sequence[Compared], names: Sequence[str]) -> Table:
    task = find_task(settings[0].setting.task)
    rows: list[list[str | Cell]] = []
    for each in settings:
        runs = {run.name: run for run in each.runs}
        images = next((str(run.metrics["n"]) for run in each.runs if "n" in run.metrics), NOTHING)
        cells = [_cell(runs[name], each) if name in runs else Cell(NOTHING) for name in names]
        rows.append([Cell(each.title), images, *cells])
    means = _shared(settings)
    if len(settings) > 1 and means:
        top = max(means.values())
        cells = [Cell(written(means.get(name), task), "", means.get(name) == top and len(means) > 1) for name in names]
        rows.append([Cell("mean"), "", *cells])
    return Table(("dataset", "test images", *names), rows, _caption(settings))


def _cell(run: Run, compared: Compared) -> Cell:
    best = run.value is not None and run.value == compared.best.value and len(compared.runs) > 1
    return Cell(written(run.value, run.task), written_interval(run), best)


def _long(settings: Sequence[Compared]) -> Table:
    """A line for each run: more names than a page is wide."""
    runs = [(each, run) for each in settings for run in each.runs]
    rows = [[Cell(each.title), Cell(run.name), _cell(run, each)] for each, run in runs[:_MOST_ROWS]]
    more = f" The first {_MOST_ROWS} of {len(runs)} runs." if len(runs) > _MOST_ROWS else ""
    return Table(("dataset", "run", unit(runs[0][1].task)), rows, _caption(settings) + more, left=2)


def _caption(settings: Sequence[Compared]) -> str:
    task = find_task(settings[0].setting.task)
    with_interval = any(run.interval for each in settings for run in each.runs)
    interval = "; small: 95 % interval, by bootstrap over images" if with_interval else ""
    return f"Test images: {unit(task)} of one view each{interval}; bold: the highest of its row."


def _chart(settings: Sequence[Compared], names: Sequence[str], material: Material) -> Block:
    task = find_task(settings[0].setting.task)
    by_series = {}
    for name in names:
        found = [
            (row, run)
            for row, each in enumerate(settings)
            for run in each.runs
            if run.name == name and run.value is not None
        ]
        ends = [run.interval or (run.value or 0.0,) * 2 for _, run in found]
        by_series[name] = Series(
            [scaled(run.value or 0.0, task) for _, run in found],
            [row for row, _ in found],
            [scaled(low, task) for low, _ in ends],
            [scaled(high, task) for _, high in ends],
            material.numbers[name],
        )
    said = "; ".join(f"{each.title}: {each.best.name} {_said(each.best)}" for each in settings)
    return interval_chart(
        f"results-{slug(task.name)}",
        [each.title for each in settings],
        by_series,
        axis=unit(task),
        alt=f"{figure_name(task)} by dataset and adapter. Highest: {said}.",
        caption="The same figures; where intervals of two adapters overlap much, their order may be chance.",
    )
