"""Extraction: images through a frozen backbone into a store, once."""

from udta.data import OnError
from udta.extraction.computing import Computer
from udta.extraction.engine import extract
from udta.extraction.meter import Meter
from udta.extraction.pipeline import decoded_batches
from udta.extraction.progress import Progress
from udta.extraction.report import ExtractReport
from udta.extraction.setup import feature_fingerprint
from udta.extraction.several import extract_many

__all__ = [
    "Computer",
    "ExtractReport",
    "Meter",
    "OnError",
    "Progress",
    "decoded_batches",
    "extract",
    "extract_many",
    "feature_fingerprint",
]
