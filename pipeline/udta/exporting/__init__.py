"""Batch feature export: chosen taps, views and rows of a store in the formats that other tools read.

export       the public call `udta.export`: a folder that appears whole, with a manifest beside the data
_selection   what is exported, and the values of it, some rows at a time
formats      one file a format, registered
"""

from udta.exporting._selection import DTYPES, POOLS
from udta.exporting.export import ExportReport, export
from udta.exporting.formats.registry import FORMATS

__all__ = ["DTYPES", "FORMATS", "POOLS", "ExportReport", "export"]
