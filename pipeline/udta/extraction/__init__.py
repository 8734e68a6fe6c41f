"""Extraction: images through a frozen backbone into a store, once."""

from udta.extraction.computing import Computer
from udta.extraction.engine import Progress, extract
from udta.extraction.meter import Meter
from udta.extraction.pipeline import decoded_batches
from udta.extraction.report import ExtractReport
from udta.extraction.setup import OnError, feature_fingerprint

__all__ = [
    "Computer",
    "ExtractReport",
    "Meter",
    "OnError",
    "Progress",
    "decoded_batches",
    "extract",
    "feature_fingerprint",
]
