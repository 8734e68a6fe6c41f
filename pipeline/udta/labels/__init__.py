"""Labels that come after the features: a file of them makes any task of the images of a store.

options      what a file of labels is told: which, which columns, for which task
_relabel     `with_labels`: the store under the labels of a file
_columns     which columns of the file are the ids, the labels and the split
_cells       what the cells of a column say, by task
_matching    whose images they are: rows of the store by their ids
_sides       which rows are for training, where nobody has said so
"""

from udta.labels._relabel import with_labels

__all__ = ["with_labels"]
