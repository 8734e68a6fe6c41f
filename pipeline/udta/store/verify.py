"""Verification: every checksum of a store against its bytes. Repair: bad blocks are dropped, the next extract computes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from udta._console.progress import Progress, announce, watched
from udta._files.paths import local_path
from udta.errors import CorruptStoreError, StoreError
from udta.store._directory import store_path
from udta.store._engine import Engine
from udta.store._layout import Layout
from udta.store._snapshot import read_snapshot
from udta.store._staging import Staging


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
    def damaged(self) -> bool:
        """Whether something that was committed is not as it was committed."""
        return bool(self.metadata or self.bad)

    @property
    def complete(self) -> bool:
        """Whether every block is committed."""
        return self.committed_blocks == self.blocks

    @property
    def sound(self) -> bool:
        """Whether every row can be read, and is what was committed."""
        return self.complete and not self.damaged

    def to_json(self) -> dict[str, Any]:
        """Every finding."""
        return {**asdict(self), "complete": self.complete, "sound": self.sound}

    def __str__(self) -> str:
        state = "DAMAGED" if self.damaged else "sound" if self.complete else "UNFINISHED"
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
        elif not self.damaged and not self.complete:
            lines.append("the same `udta extract` again computes the rest")
        elif self.bad:
            lines.append("`udta verify --repair` drops these blocks, then the same `udta extract` computes them again")
        return "\n".join(lines)


@watched("blocks")
def verify(
    path: str | Path,
    *,
    repair: bool = False,
    progress: Progress = None,  # noqa: ARG001  # `watched` uses it
) -> VerifyReport:
    """Compare every committed block and all metadata with their checksums.

    Args:
        path: a store.
        repair: drop the bad blocks, so that they read as uncommitted.
        progress: whether a bar is shown, or what is called instead with what is counted, how many are done, of how many, and a
            word more; by default a bar in a notebook alone.

    Returns:
        What is damaged or missing; `sound` where nothing is.

    Raises:
        NotAStoreError: there is no store at `path`.
        CorruptStoreError: so little is left that it cannot be told what the store was.
        StoreReplacedError: another store took its name meanwhile.
        ConfigError: with `repair`, the store is not local.
        StoreBusyError: with `repair`, another process is writing it.

    Example:
        >>> udta.verify("photos.zarr").sound
        True
    """
    # The seal alone, no records: these are read one by one below, where one that is damaged is a finding and not the end.
    store = local_path("the store to repair", path) if repair else store_path(path)
    engine, metadata = read_snapshot(store, lambda engine: (engine, engine.ledger.check_seal()))
    if metadata:  # then it cannot be told where the blocks lie
        return _unchecked(engine, metadata)
    layout, blocks, bad = engine.load(), engine.ledger.blocks(), []
    checked = 0
    for done, block in enumerate(blocks, start=1):
        try:
            checked += engine.check_block(layout, engine.ledger.record(block))
        except CorruptStoreError as error:
            bad.append(BadBlock(block, layout.block_range(block), str(error)))
        announce("blocks", done, len(blocks))
    bad += [
        BadBlock(block, layout.block_range(block), "its ledger record is missing") for block in _lost(engine, layout)
    ]
    # Before anything is said or dropped: what was exchanged meanwhile has files missing and is not damaged.
    engine.directory.check_named()
    dropped = _drop(engine, [found.block for found in bad]) if repair and bad else []
    return VerifyReport(str(store), len(layout), len(blocks), layout.n_blocks, checked, metadata, bad, dropped)


def _unchecked(engine: Engine, metadata: list[str]) -> VerifyReport:
    """What is known without the metadata; the blocks are checked once an extraction has mended it."""
    rows, block_rows = (engine.ledger.sealed_attributes()[name] for name in ("rows", "block_rows"))
    return VerifyReport(
        str(engine.directory.path), rows, len(engine.ledger.blocks()), -(-rows // block_rows), 0, metadata=metadata
    )


def _lost(engine: Engine, layout: Layout) -> list[int]:
    """Blocks without a record in a store that was complete."""
    try:
        complete = engine.ledger.complete
    except (OSError, ValueError, KeyError) as error:
        raise engine.directory.error(f"{engine.directory.path}: the seal cannot be read ({error})") from error
    return sorted(set(range(layout.n_blocks)) - set(engine.ledger.blocks())) if complete else []


def _drop(engine: Engine, blocks: list[int]) -> list[int]:
    store = engine.directory
    try:
        work = Staging(store.path.resolve())
    except OSError as error:
        raise StoreError(f"{store.path} cannot be repaired ({error.strerror or error})") from error
    try:
        store.check_named()  # again under the lock, after which nobody exchanges it
        for block in blocks:
            engine.ledger.drop(block)
        engine.ledger.sweep()  # the folders of the records, which are empty now
    finally:
        work.release()
    return blocks
