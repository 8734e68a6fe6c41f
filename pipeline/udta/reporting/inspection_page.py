"""The page of an inspection: what was found, with the photographs, where these can still be read."""

from __future__ import annotations

from pathlib import Path

from udta.inspection import Inspection
from udta.reporting._page import Section, write_page
from udta.reporting._thumbnails import Thumbnails
from udta.reporting.sections.inspected import inspected
from udta.store import open_store


def write_inspection_page(found: Inspection, out: Path) -> list[Path]:
    """Write `out`, an HTML file that needs nothing beside it, and its maps as SVG files; returns what was written.

    Raises:
        ConfigError: jinja2 or matplotlib are not installed.
    """
    store = open_store(found.store)
    blocks = inspected(found, Thumbnails(store), store.path.stem)
    counts = {name.replace("_", " "): str(count) for name, count in found.counts.items()}
    return write_page(out, f"Inspection of {store.path.name}", [Section("Data", blocks)], figures=counts)
