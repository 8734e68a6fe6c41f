"""What an adapter says about rows of a store, and how good that is: training validates by it, evaluation reports it."""

from udta.scoring.rows import class_indices, evaluate_rows, labelled_rows, log_probabilities, test_rows, view_logits

__all__ = [
    "class_indices",
    "evaluate_rows",
    "labelled_rows",
    "log_probabilities",
    "test_rows",
    "view_logits",
]
