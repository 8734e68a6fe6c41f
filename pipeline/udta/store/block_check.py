"""One committed block against its record."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from udta.errors import CorruptStoreError
from udta.fingerprint import TapSpec
from udta.store.engine import Engine
from udta.store.layout import Layout, row_bytes
from udta.store.ledger import Record, checksum
from udta.store.mapped_rows import Extent
from udta.store.structure import check_record


def check_block(engine: Engine, layout: Layout, record: Record) -> int:
    """Compare every byte that readers get of a block with its checksums; returns how many there are.

    Raises:
        CorruptStoreError: one of them does not fit, or a file is missing or cannot be read.
    """
    checked = 0
    try:
        for tap, view, values in _values(engine, layout, record):
            checked += values.nbytes
            if checksum(values) != record.checksums[tap][view]:
                raise CorruptStoreError(f"tap {tap!r}, view {view}: the checksum does not fit")
    except ValueError as error:
        raise CorruptStoreError(f"its ledger record does not fit the store: {error}") from error
    except (OSError, IndexError, KeyError, TypeError) as error:
        raise CorruptStoreError(f"it cannot be read ({error})") from error
    return checked


def _values(engine: Engine, layout: Layout, record: Record) -> Iterator[tuple[str, int, np.ndarray]]:
    """What readers get of a block: the bytes at the known places where there are any, else what the library decodes."""
    check_record(layout, record)
    extents = engine.extents(layout, record)
    for tap in layout.taps:
        for view in range(layout.n_views):
            if extents is None:
                yield tap, view, engine.chunk(layout, record, tap, view)
            else:
                yield tap, view, _read(extents[tap, view], layout.taps[tap])


def _read(extent: Extent, tap: TapSpec) -> np.ndarray:
    length = extent.rows * row_bytes(tap)
    try:
        if extent.path.stat().st_size < extent.offset + length:
            raise CorruptStoreError(f"{extent.path.name} is too short")
        values = np.fromfile(extent.path, dtype=np.uint8, count=length, offset=extent.offset)
    except FileNotFoundError:
        raise CorruptStoreError(f"{extent.path.name} is missing") from None
    return values
