"""What training took, and when the cache pays."""

from __future__ import annotations

from udta.reporting._charts import Series, line_chart
from udta.reporting._material import Compared, Material
from udta.reporting._page import Block, Missing, Table
from udta.reporting._runs import Run
from udta.reporting.sections._words import NOTHING, bytes_, seconds, slug

_MOST_ROWS, _MOST_CHARTS, _ADAPTERS = 100, 6, 20


def costs(material: Material) -> list[Block]:
    """The ledger of each run, and for the best of each setting the time of so many adapters with and without a store."""
    runs = [(each, run) for each in material.settings for run in each.runs]
    if not runs:
        return []
    rows = [[each.title, run.name, *_figures(run)] for each, run in runs[:_MOST_ROWS]]
    headings = (
        "dataset",
        "adapter",
        "parameters",
        "MFLOP forward",
        "MFLOP backward",
        "training",
        "memory",
        "pays after",
    )
    caption = (
        "What each training took. MFLOP are for one image; a sweep shares its memory among its adapters. The cache pays after"
        " so many trainings like this one, compared with running the backbone in every epoch."
    )
    blocks: list[Block] = [Table(headings, rows, caption, left=2, folded=len(rows) > 12)]
    if len(runs) > _MOST_ROWS:
        blocks.append(Missing(f"{len(runs) - _MOST_ROWS} more runs are left out."))
    charts = [chart for each in material.settings if (chart := _break_even(each))]
    if not charts:
        blocks.append(Missing("No chart of the break-even: no run says what its store's extraction took."))
    return blocks + charts[:_MOST_CHARTS]


def _figures(run: Run) -> list[str]:
    parameters, pays = run.number("parameters"), run.number("break_even_adapters")
    flops = [run.number(name) for name in ("forward_flops", "backward_flops")]
    return [
        NOTHING if parameters is None else f"{parameters:,.0f}",
        *(NOTHING if value is None else f"{value / 1e6:.3g}" for value in flops),
        seconds(run.number("train_seconds")),
        bytes_(run.number("peak_memory_bytes")),
        NOTHING if pays is None else f"{pays:.2f} trainings",
    ]


def _break_even(compared: Compared) -> Block | None:
    run = next((run for run in compared.runs if run.number("break_even_epochs") is not None), None)
    if run is None:
        return None
    extraction = float(run.metrics["cost"].get("extraction", {}).get("seconds", 0.0))
    training, live = run.number("train_seconds") or 0.0, run.number("live_epoch_seconds") or 0.0
    epochs = run.number("epochs") or 1.0
    counts = [float(count) for count in range(_ADAPTERS + 1)]
    by_series = {
        "with the store": Series(counts, [(extraction + count * training) / 60 for count in counts]),
        "backbone in every epoch": Series(counts, [count * epochs * live / 60 for count in counts]),
    }
    cached, without = (points.y[-1] for points in by_series.values())
    return line_chart(
        slug("break-even", compared.title),
        by_series,
        axes=("trained adapters", "minutes in all"),
        alt=f"{compared.title}: {_ADAPTERS} trainings of {run.name} take {cached:.3g} minutes with the store, extraction"
        f" included, and {without:.3g} with the backbone in every epoch.",
        caption=f"{compared.title}: extraction ({seconds(extraction)}) and trainings of {run.name}, with the store and without;"
        " without is reckoned from the rate of the extraction.",
    )
