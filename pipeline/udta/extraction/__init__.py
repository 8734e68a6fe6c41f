"""Extraction: images through a frozen backbone into a store, once."""

from udta.extraction.engine import Progress, extract
from udta.extraction.pipeline import decoded_batches, make_views
from udta.extraction.report import ExtractReport
from udta.extraction.setup import OnError, feature_fingerprint

__all__ = ["ExtractReport", "OnError", "Progress", "decoded_batches", "extract", "feature_fingerprint", "make_views"]
