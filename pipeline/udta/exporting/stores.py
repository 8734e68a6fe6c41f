"""A store of another format, or of a part of a store: the same bits, ledger and fingerprint, written block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from udta.errors import ConfigError
from udta.exporting.selection import Selection
from udta.fingerprint import Fingerprint
from udta.store import Layout, StoreWriter, default_block_rows, stored_dtype


def convert(target: Path, selection: Selection, to: str, progress: Callable[[int, int], None]) -> None:
    """Write a selection as a store.

    Raises:
        ConfigError: the views are not the first ones (view v of a store is version v of its samples), or pooling is asked of
            codes.
    """
    if selection.views != tuple(range(len(selection.views))):
        raise ConfigError(
            f"a store holds views 0 to n, but views {list(selection.views)} were chosen; npy, parquet and safetensors take those"
        )
    if selection.pool != "none" and any(tap.dtype == "uint8" for tap in selection.taps):
        raise ConfigError(
            "the codes of a uint8 store cannot be pooled in a store; export to npy, parquet or safetensors"
        )
    layout, reasons = _layout(selection), selection.store.skipped
    hashes = [selection.store.hashes[name] for name in layout.ids]
    with StoreWriter(target, layout, hashes, format=to) as writer:
        for block in writer.missing:
            start, stop = layout.block_range(block)
            features = {
                tap.name: np.empty((len(selection.views), stop - start, *tap.shape), stored_dtype(tap.dtype)).swapaxes(
                    0, 1
                )
                for tap in selection.taps
            }
            rows = selection.rows[start:stop]
            skipped = {start + position: reasons[row] for position, row in enumerate(rows.tolist()) if row in reasons}
            keep = np.array([row not in reasons for row in rows.tolist()])
            for where, values in replace(selection, rows=rows[keep]).chunks(selection.taps):
                for tap, found in values.items():
                    features[tap][np.flatnonzero(keep)[where]] = found.view(features[tap].dtype)
            writer.write(block, features, skipped, _clipped(selection, layout, block))
            progress(stop, len(selection))


def _clipped(selection: Selection, layout: Layout, block: int) -> dict[str, int]:
    """As counted at extraction, where the blocks are the same; a part of a block has no count of its own."""
    if len(layout) < len(selection.store):
        return {}
    return {tap: count for tap, count in selection.store.records[block].clipped.items() if tap in layout.taps}


def _layout(selection: Selection) -> Layout:
    """The store's own where everything is chosen, so that a conversion there and back gives equal stores."""
    store, rows = selection.store, selection.rows
    whole = len(rows) == len(store)
    taps = {tap.name: tap for tap in selection.taps}
    return replace(
        store.layout,
        ids=tuple(store.ids[rows].tolist()),
        labels=store.labels[rows],
        splits=tuple(store.splits[rows].tolist()),
        taps=taps,
        n_views=len(selection.views),
        block_rows=store.layout.block_rows
        if whole
        else default_block_rows(selection.taps, len(selection.views), len(rows)),
        fingerprint=_fingerprint(selection),
        quantisers={tap: quantiser for tap, quantiser in store.layout.quantisers.items() if tap in taps},
        codec="none",
    )


def _fingerprint(selection: Selection) -> Fingerprint:
    fields = dict(selection.store.fingerprint.fields)
    if "taps" in fields:
        fields["taps"] = {tap.name: {"reducer": tap.reducer, "shape": list(tap.shape)} for tap in selection.taps}
    if "views" in fields:
        fields["views"] = {**fields["views"], "count": len(selection.views)}
    return Fingerprint(fields)
