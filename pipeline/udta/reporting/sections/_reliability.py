"""Whether probabilities are what they say: of what is said with 80 %, four in five should be right."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from udta.reporting._charts import Series, line_chart
from udta.reporting._material import Judged, Material
from udta.reporting._page import Block, Missing
from udta.reporting.sections._words import slug
from udta.tasks.binary_calibration import probabilities_of

_MOST_SETTINGS, _MOST_RUNS = 12, 4
_BINS, _FEWEST = 10, 8  # of a bin with fewer images its share of right ones is luck


def reliability(material: Material) -> list[Block]:
    """A reliability diagram for each setting (Guo et al. 2017, arXiv 1706.04599, figure 1)."""
    blocks: list[Block] = []
    for each in material.settings[:_MOST_SETTINGS]:
        if not each.judged:
            blocks.append(Missing(f"{each.title}: no diagram, since no store of its runs could be opened."))
        elif not each.judged[0].outcome.task.calibrated or each.setting.task == "regression":
            blocks.append(Missing(f"{each.title}: numbers have no probabilities."))
        else:
            curves = {
                judged.run.name: _curve(*_confidence(judged), material.numbers[judged.run.name])
                for judged in each.judged[:_MOST_RUNS]
            }
            errors = {judged.run.name: judged.run.number("ece") for judged in each.judged[:_MOST_RUNS]}
            said = "; ".join(f"{name} {100 * error:.1f} %" for name, error in errors.items() if error is not None)
            blocks.append(
                line_chart(
                    slug("calibration", each.title),
                    curves,
                    axes=("probability", "share that is right"),
                    alt=f"Reliability diagram on {each.title}. Expected calibration error: {said or 'not measured'}.",
                    caption=f"{each.title}: above the dashed line too modest, below it too sure."
                    + (f" Expected calibration error: {said}." if said else ""),
                    diagonal=True,
                )
            )
    return blocks


def _confidence(judged: Judged) -> tuple[Float[np.ndarray, " said"], Bool[np.ndarray, " said"]]:
    """The probability of what is said, and whether it is so; of several labels that of each, and whether it is there."""
    answers, labels = judged.outcome.answers[:, 0], judged.outcome.labels
    if judged.outcome.task.exclusive:
        return np.exp(answers.max(axis=1)), answers.argmax(axis=1) == labels
    return probabilities_of(answers).ravel(), (labels > 0).ravel()


def _curve(probability: Float[np.ndarray, " said"], right: Bool[np.ndarray, " said"], number: int) -> Series:
    """Means of bins of equal width that hold enough."""
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    full = [which for which in range(_BINS) if (bins == which).sum() >= _FEWEST]
    means = [(float(probability[bins == which].mean()), float(right[bins == which].mean())) for which in full]
    return Series([x for x, _ in means], [y for _, y in means], number=number)
