"""Sizes and rates of stores."""

from __future__ import annotations

from udta.reporting._material import Material
from udta.reporting._page import Block, Cell, Missing, Table
from udta.reporting.sections._words import NOTHING, bytes_, seconds
from udta.store import Store, row_bytes


def stored(material: Material) -> list[Block]:
    """A line for each store."""
    if not material.stores:
        return [Missing("No store was given or found.")]
    headings = (
        "store",
        "format",
        "images",
        "views",
        "taps",
        "features",
        "a view",
        "extraction",
        "views a second",
        "device",
    )
    blocks: list[Block] = [
        Table(headings, [_row(store) for store in material.stores], "Stores, and what their extraction took.", left=2)
    ]
    unfinished = [store for store in material.stores if not store.complete]
    blocks += [
        Missing(f"{store.path} is unfinished: {store.n_committed} of {len(store)} rows.") for store in unfinished
    ]
    skipped = [store for store in material.stores if store.skipped]
    blocks += [Missing(f"{store.path}: {len(store.skipped)} images were skipped.") for store in skipped]
    return blocks


def _row(store: Store) -> list[str | Cell]:
    view = sum(row_bytes(tap) for tap in store.taps.values())
    took = store.extraction
    rate = took["images"] / took["seconds"] if took.get("seconds") and took.get("images") else None
    return [
        Cell(store.path.name, str(store.path.parent)),
        store.format,
        f"{len(store):,}",
        str(store.n_views),
        Cell(str(len(store.taps)), ", ".join(store.taps)),
        bytes_(view * store.n_views * store.n_committed),
        bytes_(view),
        seconds(took.get("seconds")),
        NOTHING if rate is None else f"{rate:.0f}",
        str(took.get("device", NOTHING)),
    ]
