"""Tables of results."""

from udta.report.table import ResultRow, read_result, to_csv, to_markdown, to_text

__all__ = ["ResultRow", "read_result", "to_csv", "to_markdown", "to_text"]
