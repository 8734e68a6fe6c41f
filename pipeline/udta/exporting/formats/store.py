"""A store of another format, or of a part of a store: the same bits, ledger and fingerprint, written block by block."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from udta.errors import ConfigError
from udta.exporting._selection import Selection
from udta.exporting.formats.format import Format, Progress
from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, StoreWriter, default_block_rows, stored_dtype


def store_format(engine: str) -> Format:
    """The format that makes a store by this engine."""
    return Format(engine, partial(_write, engine), views="all", is_store=True, refuse=_refuse)


def _refuse(selection: Selection) -> None:
    # View v of a store is version v of its samples, by the seed: a store whose view 0 is version 3 would grow wrong views.
    if selection.views != tuple(range(len(selection.views))):
        raise ConfigError(
            f"a store holds views 0 to n, but views {list(selection.views)} were chosen; npy, parquet and safetensors take those"
        )
    # Scales are by channel of what was stored; the mean of codes with different scales is no code.
    if selection.pool != "none" and any(tap.dtype == "uint8" for tap in selection.taps):
        raise ConfigError(
            "the codes of a uint8 store cannot be pooled in a store; export to npy, parquet or safetensors"
        )


def _write(engine: str, folder: Path, selection: Selection, progress: Progress) -> None:
    """Block by block, with the ledger as an extraction writes it."""
    layout, reasons = _layout(selection), selection.store.skipped
    hashes = [selection.store.hashes[name] for name in layout.ids]
    with StoreWriter(folder, layout, hashes, format=engine) as writer:
        for block in writer.missing:
            start, stop = layout.block_range(block)
            rows = selection.rows[start:stop]
            # Skipped images keep their rows, without values, so that row numbers are those of the store.
            readable = np.array([row not in reasons for row in rows.tolist()])
            skipped = {start + position: reasons[rows[position]] for position in np.flatnonzero(~readable).tolist()}
            features = {tap.name: _empty(tap, len(rows), len(selection.views)) for tap in selection.taps}
            for part, values in replace(selection, rows=rows[readable]).chunks(selection.taps):
                positions = np.flatnonzero(readable)[part]
                for name, found in values.items():
                    # The bits: of bfloat16 a reader makes values, which NumPy cannot write as they came.
                    features[name][positions] = found.view(features[name].dtype)
            writer.write(block, features, skipped, _clipped(selection, layout, block))
            progress(stop, len(selection))


def _empty(tap: TapSpec, n_rows: int, n_views: int) -> np.ndarray:
    """`[rows, views, *shape]`, in memory one view after another, as a block is stored."""
    return np.empty((n_views, n_rows, *tap.shape), stored_dtype(tap.dtype)).swapaxes(0, 1)


def _clipped(selection: Selection, layout: Layout, block: int) -> dict[str, int]:
    """As counted at extraction, where the blocks are the same; a part of a block has no count of its own."""
    if len(layout) < len(selection.store):
        return {}
    return {tap: count for tap, count in selection.store.records[block].clipped.items() if tap in layout.taps}


def _layout(selection: Selection) -> Layout:
    """The store's own where everything is chosen, so that a conversion there and back gives equal stores."""
    store, rows = selection.store, selection.rows
    taps = {tap.name: tap for tap in selection.taps}
    n_views, block_rows = len(selection.views), store.layout.block_rows
    return replace(
        store.layout,
        ids=tuple(store.ids[rows].tolist()),
        labels=store.labels[rows],
        splits=tuple(store.splits[rows].tolist()),
        taps=taps,
        n_views=n_views,
        block_rows=block_rows if len(rows) == len(store) else default_block_rows(selection.taps, n_views, len(rows)),
        fingerprint=_fingerprint(selection),
        quantisers={tap: quantiser for tap, quantiser in store.layout.quantisers.items() if tap in taps},
        codec="none",  # the other engine may not have that of the store
    )


def _fingerprint(selection: Selection) -> Fingerprint:
    """The store's with the taps and views that are left. One that was made by hand need not have these fields."""
    fields = dict(selection.store.fingerprint.fields)
    if "taps" in fields:
        fields["taps"] = {tap.name: tap.identity for tap in selection.taps}
    if "views" in fields:
        fields["views"] = {**fields["views"], "count": len(selection.views)}
    return Fingerprint(fields)
