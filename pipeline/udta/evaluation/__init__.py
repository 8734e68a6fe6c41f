"""Measuring adapters: metrics, tables of predictions, paired comparison, and parity of the cache with the backbone."""

from udta.evaluation.measure import evaluate
from udta.evaluation.rows import class_indices, evaluate_rows, labelled_rows, log_probabilities, test_rows, view_logits

__all__ = [
    "class_indices",
    "evaluate",
    "evaluate_rows",
    "labelled_rows",
    "log_probabilities",
    "test_rows",
    "view_logits",
]
