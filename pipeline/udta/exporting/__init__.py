"""Batch feature export: chosen taps, views and rows of a store in the formats that other tools read."""

from udta.exporting.export import FORMATS, ExportReport, export

__all__ = ["FORMATS", "ExportReport", "export"]
