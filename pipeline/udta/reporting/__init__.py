"""Reporting: what people look at.

_table  one line for each backbone, dataset and adapter, as text, Markdown and CSV
"""

from udta.reporting._table import ResultRow, read_result, to_csv, to_markdown, to_text

__all__ = ["ResultRow", "read_result", "to_csv", "to_markdown", "to_text"]
