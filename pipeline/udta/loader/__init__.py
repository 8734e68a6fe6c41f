"""Shuffled epochs over a store, as torch batches."""

from udta.loader.batch import Batch
from udta.loader.loader import FeatureLoader

__all__ = ["Batch", "FeatureLoader"]
