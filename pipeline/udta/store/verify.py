"""Verification: every checksum of a store against its bytes. Repair: bad blocks are dropped, the next extract computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from udta.errors import CorruptStoreError, NotAStoreError
from udta.fingerprint import TapSpec
from udta.store.engine import Engine
from udta.store.engines import check_version, engine_at
from udta.store.layout import Layout, row_bytes
from udta.store.ledger import Record, checksum
from udta.store.lock import DirectoryLock
from udta.store.mapping import Extent


@dataclass(frozen=True)
class BadBlock:
    """A block whose bytes are not those that were committed; `rows` is [first, one past the last)."""

    block: int
    rows: tuple[int, int]
    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found. `metadata` lists damaged columns, attributes and array metadata, `bad` the damaged blocks."""

    store: str
    rows: int
    committed_blocks: int
    blocks: int
    checked_bytes: int
    metadata: list[str] = field(default_factory=list)
    bad: list[BadBlock] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything that is committed is as it was committed."""
        return not self.metadata and not self.bad

    def to_json(self) -> dict[str, Any]:
        """Every finding."""
        return {**asdict(self), "sound": self.sound}

    def __str__(self) -> str:
        state = "sound" if self.sound else "DAMAGED"
        lines = [
            f"{self.store}: {state}; {self.committed_blocks} of {self.blocks} blocks committed, "
            f"{self.checked_bytes / 1e6:.1f} MB checked"
        ]
        lines += [f"metadata: {problem}; the same `udta extract` again mends it" for problem in self.metadata]
        lines += [f"block {bad.block} (rows {bad.rows[0]} to {bad.rows[1] - 1}): {bad.reason}" for bad in self.bad]
        if self.dropped:
            lines.append(f"dropped {len(self.dropped)} block(s); the same `udta extract` again computes them")
        elif self.bad:
            lines.append("`udta verify --repair` drops these blocks, then the same `udta extract` computes them again")
        return "\n".join(lines)


def verify(
    path: str | Path, *, repair: bool = False, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Compare every committed block and all metadata with their checksums.

    Args:
        path: a store.
        repair: drop the bad blocks, so that they read as uncommitted.
        progress: called after every block with the blocks done and there are.

    Raises:
        NotAStoreError: there is no store at `path`.
        CorruptStoreError: so little is left that it cannot be told what the store was.
        StoreBusyError: with `repair`, another process is writing it.
    """
    place = Path(path)
    engine = engine_at(place)
    if engine is None:
        raise NotAStoreError(f"{place} is not a udta store")
    check_version(engine)
    metadata = engine.ledger.check_seal(place)
    layout = _layout(engine, metadata)
    blocks = engine.ledger.blocks()
    bad: list[BadBlock] = []
    checked = 0
    for done, block in enumerate(blocks, start=1):
        try:
            record = engine.ledger.record(block)
            for tap, view, values in _values(engine, layout, record):
                checked += values.nbytes
                if checksum(values) != record.checksums[tap][view]:
                    raise CorruptStoreError(f"tap {tap!r}, view {view}: the checksum does not fit")
        except (CorruptStoreError, OSError, IndexError, KeyError) as error:
            bad.append(BadBlock(block, layout.block_range(block), str(error)))
        if progress:
            progress(done, len(blocks))
    dropped = _drop(engine, [found.block for found in bad]) if repair else []
    return VerifyReport(str(place), len(layout), len(blocks), layout.n_blocks, checked, metadata, bad, dropped)


def _layout(engine: Engine, metadata: list[str]) -> Layout:
    """From the store itself where its metadata is sound, from the seal where it is not."""
    if not metadata:
        return engine.load()
    attributes = engine.ledger.sealed_attributes()
    n = attributes["rows"]
    return Layout.from_attributes(attributes, [""] * n, np.full(n, -1), [""] * n)


def _values(engine: Engine, layout: Layout, record: Record) -> Iterator[tuple[str, int, np.ndarray]]:
    """What readers get of a block: the bytes at the known places where there are any, else what the library decodes."""
    expected = layout.block_range(record.block)
    named = tuple(name for name, _ in record.samples)
    known = layout.ids[record.start : record.stop]
    if (record.start, record.stop) != expected or (any(known) and named != known):
        raise CorruptStoreError("its ledger record is about other rows than the store has there")
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
        values = np.fromfile(extent.path, dtype=np.uint8, count=length, offset=extent.offset)
    except FileNotFoundError:
        raise CorruptStoreError(f"{extent.path.name} is missing") from None
    if len(values) < length:
        raise CorruptStoreError(f"{extent.path.name} is too short")
    return values


def _drop(engine: Engine, blocks: list[int]) -> list[int]:
    lock = DirectoryLock(engine.path)
    try:
        for block in blocks:
            engine.ledger.drop(block)
        engine.ledger.sweep()
    finally:
        lock.release()
    return blocks
