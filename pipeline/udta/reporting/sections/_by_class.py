"""How good the best adapter is on each class, label or target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from udta.reporting._charts import Series, bar_chart, point_chart
from udta.reporting._material import Judged, Material
from udta.reporting._page import Block, Missing, Table
from udta.reporting._runs import Run
from udta.reporting.sections._words import slug

_MOST_SETTINGS, _MOST_BARS, _MOST_TARGETS = 12, 24, 4


def by_class(material: Material) -> list[Block]:
    """A chart for each setting: recalls, average precisions, or numbers said against true ones."""
    blocks: list[Block] = []
    for each in material.settings[:_MOST_SETTINGS]:
        found = _of(each.title, each.best, each.judged[0] if each.judged else None)
        blocks += found or [Missing(f"{each.title}: nothing by class, since no store of its runs could be opened.")]
    return blocks


def _of(setting: str, best: Run, judged: Judged | None) -> list[Block]:
    if by_label := best.metrics.get("by_label"):
        return [_bars(setting, best.name, _values(by_label, "ap"), "average precision")]
    if by_target := best.metrics.get("by_target"):
        rows = [
            [name, *(f"{values[key]:.3f}" for key in ("r2", "mae", "spearman"))] for name, values in by_target.items()
        ]
        table = Table(
            ("target", "R2", "mean absolute error", "rank correlation"), rows, f"{setting}, {best.name}: by target."
        )
        return [table, *(_scatters(setting, judged) if judged else [])]
    if judged is None:
        return []
    counts, names = judged.outcome.confusion, judged.outcome.classes
    recalls = {
        name: float(counts[at, at] / total)
        for at, (name, total) in enumerate(zip(names, counts.sum(axis=1).tolist(), strict=True))
        if total
    }
    return [_bars(setting, judged.run.name, recalls, "recall")]


def _values(table: Mapping[str, Any], figure: str) -> dict[str, float]:
    return {name: float(values[figure]) for name, values in table.items() if values.get(figure) is not None}


def _bars(setting: str, run: str, values: Mapping[str, float], axis: str) -> Block:
    """The worst at the top, since those are what one can do something about."""
    worst = dict(sorted(values.items(), key=lambda item: item[1])[:_MOST_BARS])
    what = f"the {len(worst)} lowest of {len(values)}" if len(worst) < len(values) else "from the lowest up"
    said = "; ".join(f"{name} {value:.0%}" for name, value in list(worst.items())[:3])
    return bar_chart(
        slug("classes", setting),
        {name: 100 * value for name, value in worst.items()},
        axis=f"{axis} %",
        alt=f"{axis} by class of {run} on {setting}. Lowest: {said}.",
        caption=f"{setting}, {run}: {axis} by class, {what}.",
        limit=100.0,
    )


def _scatters(setting: str, judged: Judged) -> list[Block]:
    """What is said against what is true, for each target."""
    charts: list[Block] = []
    for at, name in enumerate(judged.outcome.classes[:_MOST_TARGETS]):
        true, said = judged.outcome.labels[:, at], judged.outcome.answers[:, 0, at]
        some = np.random.default_rng(0).permutation(len(true))[:2000]
        charts.append(
            point_chart(
                slug("numbers", setting, name),
                {name: Series(true[some].tolist(), said[some].tolist())},
                axes=("true", "predicted"),
                alt=f"Predicted against true {name} on {setting}: correlation {np.corrcoef(true, said)[0, 1]:.2f}.",
                caption=f"{setting}, {judged.run.name}: {name}, predicted against true.",
                size=4,
            )
        )
    return charts
