"""Shuffled epochs over a store, as torch batches."""

from udta.loader._batch import Batch
from udta.loader._loader import FeatureLoader

__all__ = ["Batch", "FeatureLoader"]
