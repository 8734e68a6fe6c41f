"""Opening a store beside its writer: everything that is read of it at first is of one moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from udta.errors import CorruptStoreError, NotAStoreError, StoreError, StoreReplacedError
from udta.store._engine import Engine
from udta.store._layout import Layout
from udta.store._record import Record
from udta.store._registry import check_version, engine_at
from udta.store._staging import is_being_written

if TYPE_CHECKING:  # as in `_labels`
    from jaxtyping import UInt8

_T = TypeVar("_T")

# A writer changes metadata, or the names of two stores, within milliseconds.
_ATTEMPTS, _PAUSE_S = 20, 0.05


@dataclass(frozen=True)
class Snapshot:
    """Everything of a store but features.

    Attributes:
        engine: stays with this store, whatever takes its name.
        layout: of the store.
        records: of every committed block, without its samples.
        contents: SHA-256 of every row's image, by bytes; zeros where no record covers it.
    """

    engine: Engine
    layout: Layout
    records: dict[int, Record]
    contents: UInt8[np.ndarray, "rows 32"]

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Raises `CorruptStoreError` where the seal, the metadata or a record is damaged."""
        path, damage = engine.directory.path, engine.ledger.check_seal()
        if damage:
            raise CorruptStoreError(
                f"{path}: {'; '.join(damage)}; the same `udta extract` again mends it, and computes nothing that is there"
            )
        layout = engine.load()
        contents, records = np.zeros((len(layout), 32), dtype=np.uint8), {}
        for record in engine.check_records(layout, engine.ledger.records()):
            hashes = bytes.fromhex("".join(content for _, content in record.samples))
            contents[record.start : record.stop] = np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32)
            # Samples are half a kilobyte a row as Python objects, and the layout has their ids already.
            records[record.block] = replace(record, samples=())
        return cls(engine, layout, records, contents)


def read_snapshot(path: Path, look: Callable[[Engine], _T]) -> _T:
    """What `look` gives for the store at `path`, while nothing that it reads was changed.

    Raises:
        NotAStoreError: there is no store at `path`.
        StoreError: what `look` raises; where a writer is at work, only when it goes on for a second.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _once(path, look)
        except StoreError as error:
            # Without a writer it is damage, and waiting would not mend it.
            if attempt == _ATTEMPTS - 1 or not (isinstance(error, StoreReplacedError) or is_being_written(path)):
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError  # the last attempt returns or raises


def _what_else(path: Path) -> str:
    """What it is instead, where people mix up the two."""
    if (path / "adapter.safetensors").exists():
        return "; it is a run, an adapter that was trained from one"
    return (
        "; a store is what `udta extract` makes, and images are what it makes one of"
        if path.is_dir()
        else ", but a file"
    )


def _once(path: Path, look: Callable[[Engine], _T]) -> _T:
    engine = engine_at(path)
    if engine is None:
        if path.exists():
            raise NotAStoreError(f"{path} is not a udta store{_what_else(path)}")
        raise NotAStoreError(f"there is no store at {path}; make one with `udta extract IMAGES ... --out {path}`")
    check_version(engine)
    # The seal is broken before metadata are changed and put anew after it, and the directory is another one when stores changed
    # places: where neither happened between the first and the last look, all of them saw the same.
    seal = engine.ledger.stamp()
    engine.directory.watch(engine.ledger.seal_file, seal)
    try:
        found = look(engine)
    except StoreError:
        _check_unchanged(engine, seal)  # what was replaced meanwhile is no damage
        raise
    _check_unchanged(engine, seal)
    return found


def _check_unchanged(engine: Engine, seal: bytes) -> None:
    if engine.directory.replaced or engine.ledger.stamp() != seal:
        raise StoreReplacedError(
            f"{engine.directory.path} is changed again and again while it is opened; wait for its writer"
        )
