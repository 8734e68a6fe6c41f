"""Tables of an evaluation, as columns by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from udta.tasks.binary_calibration import probabilities_of


def prediction_columns(
    ids: Sequence[str],
    classes: Sequence[str],
    log_probabilities: Float[np.ndarray, "samples views classes"],
    labels: Int[np.ndarray, " samples"],
) -> dict[str, list[Any]]:
    """A line an image.

    `path`, `label` (the true class), `predicted` with its `probability` (view 0), `rank` of the true class (1 is right, up to 5
    counts for top-5), `predicted_views` with `probability_views` (log-probabilities averaged over the cached views, and
    normalised again).
    """
    first, averaged = log_probabilities[:, 0], log_probabilities.mean(axis=1)
    # A mean of logarithms is a geometric mean of probabilities, and those do not add up to 1.
    averaged = averaged - np.logaddexp.reduce(averaged, axis=1, keepdims=True)
    # Counted as `classification_metrics` sorts: of equal classes the one with the lower index comes first.
    order = np.argsort(-first, axis=1, kind="stable")
    return {
        "path": list(ids),
        "label": [classes[label] for label in labels],
        "predicted": [classes[index] for index in order[:, 0]],
        "probability": np.exp(first.max(axis=1)).tolist(),
        "rank": (1 + (order == labels[:, None]).argmax(axis=1)).tolist(),
        "predicted_views": [classes[index] for index in averaged.argmax(axis=1)],
        "probability_views": np.exp(averaged.max(axis=1)).tolist(),
    }


def label_columns(
    ids: Sequence[str],
    names: Sequence[str],
    log_odds: Float[np.ndarray, "samples views labels"],
    labels: Float[np.ndarray, "samples labels"],
    thresholds: Float[np.ndarray, " labels"],
) -> dict[str, list[Any]]:
    """A line an image: `path`, and for each label `true:NAME`, `predicted:NAME` (1 above its threshold) and `probability:NAME`.

    Those of all views, log-odds averaged, are `predicted_views:NAME` and `probability_views:NAME`.
    """
    columns: dict[str, list[Any]] = {"path": list(ids)}
    of_views = {"": log_odds[:, 0], "_views": log_odds.mean(axis=1)}
    for at, name in enumerate(names):
        columns[f"true:{name}"] = labels[:, at].astype(int).tolist()
        for which, scores in of_views.items():
            columns[f"predicted{which}:{name}"] = (scores[:, at] > thresholds[at]).astype(int).tolist()
            columns[f"probability{which}:{name}"] = probabilities_of(scores[:, at]).tolist()
    return columns


def number_columns(
    ids: Sequence[str],
    names: Sequence[str],
    values: Float[np.ndarray, "samples views targets"],
    labels: Float[np.ndarray, "samples targets"],
) -> dict[str, list[Any]]:
    """A line an image: `path`, and for each target `true:NAME`, `predicted:NAME` and, of all views, `predicted_views:NAME`."""
    columns: dict[str, list[Any]] = {"path": list(ids)}
    for at, name in enumerate(names):
        columns[f"true:{name}"] = labels[:, at].tolist()
        columns[f"predicted:{name}"] = values[:, 0, at].tolist()
        columns[f"predicted_views:{name}"] = values[:, :, at].mean(axis=1).tolist()
    return columns


def confusion_columns(classes: Sequence[str], matrix: Int[np.ndarray, "classes classes"]) -> dict[str, list[Any]]:
    """A line for each true class, first `true/predicted` with its name, then a column of counts for each predicted class."""
    # No folder, so no class named by one, has a slash in its name: this heading is no class's.
    return {"true/predicted": list(classes), **{name: matrix[:, index].tolist() for index, name in enumerate(classes)}}
