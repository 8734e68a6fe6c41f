"""Reporting: what people look at.

_page        sections of text, tables, charts and pictures -> one HTML file that needs nothing beside it
_svg         drawings whose colours are names: light, dark and print from one
_charts      the kinds of charts
_thumbnails  small pictures of a store's photographs
_table       one line for each backbone, dataset and adapter, as text, Markdown and CSV
"""

from udta.reporting._table import ResultRow, read_result, to_csv, to_markdown, to_text

__all__ = ["ResultRow", "read_result", "to_csv", "to_markdown", "to_text"]
