"""Extraction: images through a frozen backbone into a store, once."""

from udta.extraction.compute import Computer
from udta.extraction.counter import Progress
from udta.extraction.decode.batches import decoded_batches
from udta.extraction.meter import Meter
from udta.extraction.report import ExtractReport
from udta.extraction.request import feature_fingerprint
from udta.images import OnError

__all__ = [
    "Computer",
    "ExtractReport",
    "Meter",
    "OnError",
    "Progress",
    "decoded_batches",
    "feature_fingerprint",
]
