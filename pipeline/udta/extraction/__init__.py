"""Extraction: images through a frozen backbone into a store, once."""

from udta.extraction._job import feature_batches
from udta.extraction._meter import Meter, Progress
from udta.extraction._work import FeatureSource
from udta.extraction.report import ExtractReport
from udta.extraction.request import feature_fingerprint
from udta.images import OnError

__all__ = [
    "ExtractReport",
    "FeatureSource",
    "Meter",
    "OnError",
    "Progress",
    "feature_batches",
    "feature_fingerprint",
]
