"""Learning curves: the training accuracy after each epoch."""

from __future__ import annotations

from udta.reporting._charts import Series, line_chart
from udta.reporting._material import MOST_RUNS, Material
from udta.reporting._page import Block, Missing
from udta.reporting.sections._words import slug

_MOST_SETTINGS = 12


def learning(material: Material) -> list[Block]:
    """A chart for each setting, of what was trained by steps."""
    blocks: list[Block] = []
    for each in material.settings[:_MOST_SETTINGS]:
        curves = {
            run.name: Series(run.history["epoch"], run.history["loss"], number=material.numbers[run.name])
            for run in each.runs
            if len(run.history.get("epoch", ())) > 1 and "loss" in run.history
        }
        curves = dict(list(curves.items())[:MOST_RUNS])
        if not curves:
            blocks.append(Missing(f"{each.title}: no adapter was trained by epochs, or no history.csv is left."))
            continue
        said = "; ".join(f"{name}: {points.y[0]:.3g} to {points.y[-1]:.3g}" for name, points in curves.items())
        blocks.append(
            line_chart(
                slug("learning", each.title),
                curves,
                axes=("epoch", "training loss"),
                alt=f"Training loss by epoch on {each.title}. {said}.",
                caption=f"{each.title}: mean training loss of each epoch, of augmented views and with label smoothing.",
            )
        )
    if len(material.settings) > _MOST_SETTINGS:
        blocks.append(Missing(f"Those of {len(material.settings) - _MOST_SETTINGS} more datasets are not drawn."))
    return blocks
