"""Reporting: what people look at. `udta.report` writes the page.

make_report  the journey: folders -> what lies there -> sections -> the page
_runs        runs, few-shot curves, stores and files of labels below folders
_material    runs by setting, and what they say of the test images of their stores
sections     the sections of the page, a file each
inspection_page  what was found in the images of one store

_page        sections of text, tables, charts and pictures -> one HTML file that needs nothing beside it
_svg         drawings whose colours are names: light, dark and print from one
_charts      the kinds of charts
_thumbnails  small pictures of a store's photographs
_table       one line for each backbone, dataset and adapter, as text, Markdown and CSV
"""

from udta.reporting._table import ResultRow, read_result, to_csv, to_markdown, to_text

__all__ = ["ResultRow", "read_result", "to_csv", "to_markdown", "to_text"]
