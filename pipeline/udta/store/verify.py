"""Verification: every checksum of a store against its bytes. Repair: bad blocks are dropped, the next extract computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from udta.errors import CorruptStoreError, NotAStoreError
from udta.files import local_path
from udta.store.check import check_block
from udta.store.engine import Engine
from udta.store.engines import check_version, engine_at
from udta.store.lock import DirectoryLock
from udta.store.place import place_of


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
        lines += [f"metadata: {problem}" for problem in self.metadata]
        if self.metadata:
            lines.append(
                "the same `udta extract` again mends metadata; the blocks were not checked, verify again after it"
            )
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
        ConfigError: with `repair`, the store is not local.
        StoreBusyError: with `repair`, another process is writing it.
    """
    place = local_path("the store to repair", path) if repair else place_of(path)
    engine = engine_at(place)
    if engine is None:
        raise NotAStoreError(f"{place} is not a udta store")
    check_version(engine)
    metadata = engine.ledger.check_seal(place)
    if metadata:
        return _unchecked(engine, metadata)
    layout, blocks = engine.load(), engine.ledger.blocks()
    bad: list[BadBlock] = []
    checked = 0
    for done, block in enumerate(blocks, start=1):
        try:
            checked += check_block(engine, layout, engine.ledger.record(block))
        except CorruptStoreError as error:
            bad.append(BadBlock(block, layout.block_range(block), str(error)))
        if progress:
            progress(done, len(blocks))
    dropped = _drop(engine, [found.block for found in bad]) if repair else []
    return VerifyReport(str(place), len(layout), len(blocks), layout.n_blocks, checked, metadata, bad, dropped)


def _unchecked(engine: Engine, metadata: list[str]) -> VerifyReport:
    """Where metadata is damaged it cannot be told where the blocks lie; they are checked once it is mended."""
    rows, block_rows = (engine.ledger.sealed_attributes()[name] for name in ("rows", "block_rows"))
    return VerifyReport(
        str(engine.path), rows, len(engine.ledger.blocks()), -(-rows // block_rows), 0, metadata=metadata
    )


def _drop(engine: Engine, blocks: list[int]) -> list[int]:
    lock = DirectoryLock(engine.path)
    try:
        for block in blocks:
            engine.ledger.drop(block)
        engine.ledger.sweep()
    finally:
        lock.release()
    return blocks
