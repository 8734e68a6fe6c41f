"""Shuffled epochs over a store, as torch batches.

_choices    what split, views, classes and dtype mean for a store
_loader     `FeatureLoader`: an iterable of epochs, which goes on in the middle of one
_order      the order of an epoch: which rows in which views, and its windows
_reading    rows to batches: from mapped files, in threads, a few batches ahead
_windows    where a store does not fit into memory: some blocks at a time, read in the order of the disk
_resident   where everything lies in the memory of a device
_batch      what is yielded, and the buffers that it is read into
"""

from udta.loader._batch import Batch
from udta.loader._loader import FeatureLoader
from udta.loader._order import balanced_rows

__all__ = ["Batch", "FeatureLoader", "balanced_rows"]
