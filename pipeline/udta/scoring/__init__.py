"""Scoring: what an adapter says about rows of a store, and how good that is. Training validates by it, evaluation reports it.

_rows     which rows are measured, and their labels among an adapter's classes
_logits   an adapter's scores of every cached view of them, as logits and answers of its task
"""

from udta.scoring._logits import evaluate_rows, view_answers, view_logits
from udta.scoring._rows import labelled_rows, labels_among, test_rows

__all__ = [
    "evaluate_rows",
    "labelled_rows",
    "labels_among",
    "test_rows",
    "view_answers",
    "view_logits",
]
