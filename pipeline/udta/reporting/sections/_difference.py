"""How two runs differ: settings, data, figures, and the photographs that one alone gets right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from udta.reporting._material import Judged, Material
from udta.reporting._page import Block, Cell, Gallery, Heading, Missing, Table
from udta.reporting._runs import Run
from udta.reporting._thumbnails import Thumbnails
from udta.reporting.sections._words import NOTHING, unit, written, written_interval

_MOST_PAIRS, _PICTURES = 6, 6


def difference(material: Material) -> list[Block]:
    """The two runs that were asked for, else the best two of each setting."""
    blocks: list[Block] = []
    asked = material.compare
    pairs = [asked] if asked else [(each.runs[0], each.runs[1]) for each in material.settings if len(each.runs) > 1]
    for one, other in pairs[:_MOST_PAIRS]:
        blocks += _pair(material, one, other)
    if not pairs:
        blocks.append(Missing("There are no two runs of one dataset to compare."))
    return blocks


def _pair(material: Material, one: Run, other: Run) -> list[Block]:
    compared = [each for run in (one, other) for each in material.settings if run in each.runs]
    alike = compared[0] is compared[1]
    names = (
        (one.name, other.name)
        if alike
        else tuple(f"{each.title}: {run.name}" for each, run in zip(compared, (one, other), strict=True))
    )
    rows = [[what, *values] for what, *values in (*_figures(one, other), *_settings(one, other))]
    title = f"{names[0]} and {names[1]}" + (f" on {compared[0].title}" if alike else "")
    blocks: list[Block] = [Heading(title), Table(("what", *names), rows, "What differs.", left=1)]
    judged = [_judged(material, run) for run in (one, other)]
    first, second = judged
    if first is None or second is None:
        return [*blocks, Missing("Not compared image by image, since a store could not be opened.")]
    ids = [each.store.ids[each.rows] for each in (first, second)]
    if not first.outcome.task.exclusive or not np.array_equal(*ids):
        return [
            *blocks,
            Missing(
                f"{title}: not compared image by image, since they were not measured by classes of the same images."
            ),
        ]
    found = first.outcome.compared_with(second.outcome, material.seed)["single"]
    blocks.append(
        f"Of {len(first.rows)} test images {found['only_this']} are right with {names[0]} alone and {found['only_other']} with"
        f" {names[1]} alone: a difference of {100 * found['difference']:+.1f} points (95 % interval {100 * found['low']:+.1f} to"
        f" {100 * found['high']:+.1f}; McNemar's test p = {found['p']:.2g})."
    )
    thumbnails = next((each.thumbnails for each in material.settings if first in each.judged), None)
    return blocks + (_galleries(first, second, names, thumbnails) if thumbnails else [])


def _judged(material: Material, run: Run) -> Judged | None:
    return next((judged for each in material.settings for judged in each.judged if judged.run is run), None)


def _figures(one: Run, other: Run) -> list[tuple[str | Cell, ...]]:
    lines: list[tuple[str | Cell, ...]] = [
        (unit(one.task), *(Cell(written(run.value, run.task), written_interval(run)) for run in (one, other)))
    ]
    for name, called in (
        ("train_seconds", "seconds of training"),
        ("parameters", "parameters"),
        ("ece", "calibration error"),
    ):
        values = [run.number(name) for run in (one, other)]
        if any(value is not None for value in values):
            lines.append(
                (
                    called,
                    *(
                        NOTHING if value is None else f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"
                        for value in values
                    ),
                )
            )
    return lines


def _settings(one: Run, other: Run) -> list[tuple[str, ...]]:
    """Options, recipe, taps and features, where they are not the same."""
    if one.header is None or other.header is None:
        return []
    flat = [_flat(run) for run in (one, other)]
    names = sorted(set(flat[0]) | set(flat[1]))
    return [
        (name, *(_shown(each.get(name, NOTHING)) for each in flat))
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    ]


def _flat(run: Run) -> dict[str, Any]:
    header = run.header
    assert header is not None
    training = {name: value for name, value in header.training.items() if name not in ("cost", "asked", "labels")}
    return {
        "adapter": header.adapter,
        "taps": [tap.name for tap in header.taps],
        "classes": len(header.classes),
        "features": header.fingerprint.digest[:12],
        **{f"option {name}": value for name, value in header.options.items()},
        **{name.replace("_", " "): value for name, value in training.items()},
        **({"labels": run.setting.labels} if run.setting.labels else {}),
    }


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _galleries(first: Judged, second: Judged, names: Sequence[str], thumbnails: Thumbnails) -> list[Block]:
    said = [each.outcome.answers[:, 0].argmax(axis=1) for each in (first, second)]
    right = [answers == each.outcome.labels for answers, each in zip(said, (first, second), strict=True)]
    blocks: list[Block] = []
    for mine, judged, wrong in ((0, first, second), (1, second, first)):
        places = np.flatnonzero(right[mine] & ~right[1 - mine])[:_PICTURES]
        pictures = [
            thumbnails.picture(
                int(first.rows[place]),
                str(judged.outcome.classes[judged.outcome.labels[place]]),
                f"{names[1 - mine]}: {wrong.outcome.classes[said[1 - mine][place]]}",
            )
            for place in places.tolist()
        ]
        found = [picture for picture in pictures if picture]
        blocks += [Gallery(found, f"Right with {names[mine]} alone; below, what the other says.")] if found else []
    return blocks
