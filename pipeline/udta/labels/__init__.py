"""Labels that come after the features: a file of them makes any task of the images of a store.

options      what a file of labels is told: which, which columns, for which task
_relabel     `udta.with_labels`: the store under the labels of a file
_columns     which columns of the file are the ids, the labels and the split
_cells       what the cells of a column say, by task
_matching    whose images they are: rows of the store by their ids
_sides       which rows are for training, where nobody has said so
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udta.labels._relabel import with_labels
else:

    def __getattr__(name: str) -> Any:
        # It opens stores, and so loads engines; who reads `params.yaml` or helps with a verb asks for the options alone.
        if name != "with_labels":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from udta.labels._relabel import with_labels

        return with_labels


__all__ = ["with_labels"]
