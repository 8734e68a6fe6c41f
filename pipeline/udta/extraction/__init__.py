"""Extraction: from images to rows of a store.

extract          the public call: one store, from its options to its report
extract_many     the public call for several stores of the same images, each image decoded once
options          the one list of what an extraction can be told
_request         options and images become what to do: manifest, backbone, taps, views, layout
_chosen_taps     which taps: those asked for, those of the store, or the recommended ones
_calibrate       a first look at some images: ranges of codes, and what storage type and arithmetic cost
plan             what would be done, without doing it
_disk_space      whether it fits
_job             commit(compute(decode(item))): the line that every image goes down
_work            what blocks lack, cut into items that carry the address of each row
decode           files become batches of views
_compute         views become features as stored
_commit          features become blocks, and blocks are committed
_workers         several processes on one store, each with such a line
_meter           where the time goes, and what is said of it meanwhile
_extract_report  what was done
recompute        some rows once more, compared with what is stored
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udta.extraction._compute import FeatureBatch
    from udta.extraction._extract_report import ExtractReport
    from udta.extraction._job import feature_batches
    from udta.extraction._meter import Meter
    from udta.extraction._request import feature_fingerprint
    from udta.extraction._work import FeatureSource
    from udta.images import OnError

__all__ = [
    "ExtractReport",
    "FeatureBatch",
    "FeatureSource",
    "Meter",
    "OnError",
    "feature_batches",
    "feature_fingerprint",
]

_HOME = {
    "ExtractReport": "extraction._extract_report",
    "FeatureBatch": "extraction._compute",
    "FeatureSource": "extraction._work",
    "Meter": "extraction._meter",
    "OnError": "images",
    "feature_batches": "extraction._job",
    "feature_fingerprint": "extraction._request",
}

if not TYPE_CHECKING:  # else mypy would take any name for one of these

    def __getattr__(name: str) -> Any:
        # On first use, as in `udta` itself: these load torch, which `options`, and so `udta extract --help`, does without.
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"udta.{_HOME[name]}"), name)
