"""Extraction: images through a frozen backbone into a store, once."""

from udta.extraction.engine import Progress, extract, feature_fingerprint
from udta.extraction.pipeline import decoded_batches, make_views
from udta.extraction.report import ExtractReport

__all__ = ["ExtractReport", "Progress", "decoded_batches", "extract", "feature_fingerprint", "make_views"]
