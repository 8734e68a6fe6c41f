"""Scoring: what an adapter says about rows of a store, and how good that is. Training validates by it, evaluation reports it.

_rows     which rows are measured, and their labels among an adapter's classes
_logits   an adapter's scores of every cached view of them, as logits and log-probabilities
"""

from udta.scoring._logits import evaluate_rows, log_probabilities, view_logits
from udta.scoring._rows import class_indices, labelled_rows, test_rows

__all__ = [
    "class_indices",
    "evaluate_rows",
    "labelled_rows",
    "log_probabilities",
    "test_rows",
    "view_logits",
]
