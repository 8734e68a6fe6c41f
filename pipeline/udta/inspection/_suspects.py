"""Labels that are probably wrong, by confident learning, and answers that are wrong with confidence.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv 1911.00068. An
image is counted as of another class where its probability reaches what images labelled so have in the mean (their equation 2),
for the most probable of such classes. The order is that of the probability of the image's own label, the lowest first ("self-
confidence" in their section 4): of what was measured, margins and entropies found no more of the changed labels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from udta.inspection._findings import Table
from udta.inspection._held_out import HeldOutAnswers
from udta.store import Store


def label_errors(store: Store, answers: HeldOutAnswers) -> Table:
    """A line for each image, the most suspicious first.

    `probability` is that of its label, `suggested` the most probable class with `probability_suggested`, and `likely` whether
    confident learning counts it as mislabelled.
    """
    likely = confidently_other(answers)
    order = np.lexsort((answers.rows, answers.of_label))
    table = _lines(store, answers, order)
    return {**table, "likely": likely[order].tolist()}


def confidently_other(answers: HeldOutAnswers) -> Bool[np.ndarray, " rows"]:
    """Which images confident learning counts as of another class than their label says."""
    probabilities = np.exp(answers.log_probabilities)
    sums = np.bincount(answers.labels, np.exp(answers.of_label), minlength=probabilities.shape[1])
    sizes = np.bincount(answers.labels, minlength=probabilities.shape[1])
    # A class of one image has never been seen without it, so that nothing can be counted into it or out of it.
    thresholds = np.where(sizes > 1, sums / np.maximum(sizes, 1), np.inf)
    reached = np.where(probabilities >= thresholds, probabilities, 0)
    counted: np.ndarray = (reached.max(axis=1) > 0) & (reached.argmax(axis=1) != answers.labels)
    counted &= sizes[answers.labels] > 1
    return counted


def wrong(store: Store, answers: HeldOutAnswers) -> Table:
    """A line for each image whose most probable class is not its label, the most confident first."""
    best = answers.log_probabilities.max(axis=1)
    missed = np.flatnonzero(answers.predicted != answers.labels)
    return _lines(store, answers, missed[np.lexsort((answers.rows[missed], -best[missed]))])


def _lines(store: Store, answers: HeldOutAnswers, which: Int64[np.ndarray, " lines"]) -> Table:
    rows, predicted = answers.rows[which], answers.predicted[which]
    return {
        "path": store.ids[rows].tolist(),
        "split": store.splits[rows].tolist(),
        "label": [store.classes[label] for label in answers.labels[which]],
        "probability": np.exp(answers.of_label[which]).tolist(),
        "suggested": [store.classes[label] for label in predicted],
        "probability_suggested": np.exp(answers.log_probabilities[which].max(axis=1)).tolist(),
    }
