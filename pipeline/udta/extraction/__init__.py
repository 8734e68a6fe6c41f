"""Extraction: images through a frozen backbone into a store, once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udta.extraction._job import feature_batches
    from udta.extraction._meter import Meter, Progress
    from udta.extraction._request import feature_fingerprint
    from udta.extraction._work import FeatureSource
    from udta.extraction.report import ExtractReport
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

_HOME = {
    "ExtractReport": "extraction.report",
    "FeatureSource": "extraction._work",
    "Meter": "extraction._meter",
    "OnError": "images",
    "Progress": "extraction._meter",
    "feature_batches": "extraction._job",
    "feature_fingerprint": "extraction._request",
}

if not TYPE_CHECKING:  # else mypy would take any name for one of these

    def __getattr__(name: str) -> Any:
        # On first use, as in `udta` itself: these load torch, which `options`, and so `udta extract --help`, does without.
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"udta.{_HOME[name]}"), name)
