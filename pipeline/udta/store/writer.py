"""Writing a store block by block, so that being killed at any moment costs at most the block in flight.

The order is: chunks of every tap, flushed; then the ledger record, flushed and renamed. A store appears under its name only as
a complete skeleton: it is built in a temporary directory beside it and renamed, so a half-made store never has the name. A store
that grows is built beside the old one in the same way and exchanged with it when it is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from udta.errors import (
    ConfigError,
    CorruptStoreError,
    NotAStoreError,
    StaleStoreError,
    StoreError,
    did_you_mean,
)
from udta.store.block_writer import BlockWriter
from udta.store.changes import Changes
from udta.store.engine import Engine
from udta.store.engines import engine_at, find_engine
from udta.store.growth import Part, Predecessor
from udta.store.layout import Layout
from udta.store.lock import DirectoryLock
from udta.store.place import claims_path, create_beside, exchange, growing_path, is_vacant, move_aside
from udta.store.standing import columns_differ, standing

IfStale = Literal["refuse", "replace"]
DEFAULT_FORMAT = "zarr"


class StoreWriter(BlockWriter):
    """The one writer of a store: opened on what is there, it says which blocks are `missing` and commits them one by one.

    Args:
        path: where the store is or shall be; its parent directory is made when it does not exist.
        layout: what the store shall hold. Where there is a store already, its block size is kept.
        hashes: SHA-256 of every sample's file, in row order.
        if_stale: what to do with a store that was made from something else: `refuse` it, or `replace` it by an empty one.
        format: `zarr` or `hdf5`; None keeps that of the store that is there, and makes a new one in Zarr.
        prune: remove the rows of images that are not asked for any more.
        retry_skipped: images that were skipped are missing again.

    Raises:
        StaleStoreError: another fingerprint, another format or wholly other samples are stored there (only with `refuse`); fewer
            samples are asked for than are stored (without `prune`).
        NotAStoreError: the path holds something that is not a udta store; it is left as it is.
        StoreBusyError: another process is writing the store.
        StoreError: the path cannot be written.
        ConfigError: unknown format, or a codec that the format does not have.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        hashes: Sequence[str],
        if_stale: IfStale = "refuse",
        format: str | None = None,  # noqa: A002  # the word that users type
        *,
        prune: bool = False,
        retry_skipped: bool = False,
    ) -> None:
        self.path, self.layout = path, layout
        self._old: Predecessor | None = None
        self._prune, self._retry_skipped, self.changes = prune, retry_skipped, Changes(0)
        try:
            self._finish_exchange()
            self._format = format
            engine, self._lock, self._created = self._acquire()
            super().__init__(path, engine, layout, tuple(zip(layout.ids, hashes, strict=True)))
            if not self._created:
                try:
                    self._reopen(if_stale)
                except BaseException:
                    self._lock.release()
                    raise
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror or error}); choose another place or free this one"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_new(self) -> bool:
        """Whether this writer created the store."""
        return self._created

    @property
    def grows(self) -> bool:
        """Whether blocks may be in the store already, in part."""
        return self._old is not None

    def parts(self, block: int) -> list[Part]:
        """What of a missing block has to be computed; the rest of it is in the store already, see `recall`."""
        return super().parts(block) if self._old is None else self._old.missing(block)

    def recall(self, block: int, features: Mapping[str, np.ndarray]) -> None:
        """Fill in what the store that grows has of a missing block."""
        if self._old is not None:
            self._old.recall(block, features)

    def write(
        self,
        block: int,
        features: Mapping[str, np.ndarray],
        skipped: Mapping[int, str] | None = None,
        clipped: Mapping[str, int] | None = None,
        *,
        skip_unusable: bool = False,
    ) -> None:
        """See `BlockWriter.write`; the last block of a store that grows puts it in the place of the old one."""
        super().write(block, features, skipped, clipped, skip_unusable=skip_unusable)
        self._install_when_complete()

    def claims_folder(self) -> Path:
        """An empty folder for the claims of other processes; `close` removes it."""
        claims_path(self.path).mkdir(exist_ok=True)
        return claims_path(self.path)

    def close(self) -> None:
        """Let go of the store. One that this writer created and put nothing into is removed again."""
        shutil.rmtree(claims_path(self.path), ignore_errors=True)
        if (self._created or self._old is not None) and not self._committed:
            shutil.rmtree(self._engine.path, ignore_errors=True)
        self._lock.release()

    def _acquire(self) -> tuple[Engine, DirectoryLock, bool]:
        """The engine of the store at `path`, the lock on it, and whether it was created just now."""
        if is_vacant(self.path):
            wanted = find_engine(self._format or DEFAULT_FORMAT)
            _check_codec(wanted, self.layout.codec)
            lock = create_beside(self.path, lambda place: wanted(place).create(self.layout))
            if lock is not None:
                return wanted(self.path), lock, True
        engine = engine_at(self.path)
        if engine is None:
            raise NotAStoreError(
                f"{self.path} exists and is not a udta store; it was left as it is, choose another --out"
            )
        return engine, DirectoryLock(self.path), False

    def _reopen(self, if_stale: IfStale) -> None:
        """Continue what is there: as it is, grown, or (with `replace`) anew."""
        self._engine.sweep()
        shutil.rmtree(claims_path(self.path), ignore_errors=True)  # of processes that were killed
        found = standing(self._engine, self.layout, self._samples, self._format, retry_skipped=self._retry_skipped)
        if found.differences:
            if if_stale == "refuse":
                raise StaleStoreError(
                    f"{self.path} was made from something else; write to another place or remove it first:",
                    found.differences,
                )
            self._replace()
        elif found.changes.removed and not self._prune:
            raise StaleStoreError(f"{self.path} holds more images than are asked for:", found.changes.refusal())
        elif found.old is not None:
            self.changes = found.changes
            self._grow(found.old, found.asked)
        else:
            if found.outdated:
                self._engine.save_metadata(found.asked)
            shutil.rmtree(growing_path(self.path), ignore_errors=True)  # of a growth that is not wanted any more
            self.layout, self._committed = found.asked, set(found.records)

    def _grow(self, old: Predecessor, asked: Layout) -> None:
        """Build the grown store beside the old one, or go on building it."""
        old.drop_damaged()
        place = growing_path(self.path)
        grown = type(self._engine)(place)
        records = _resumable(grown, asked, self._samples, self._retry_skipped)
        if records is None:
            shutil.rmtree(place, ignore_errors=True)
            create_beside(place, lambda skeleton: type(grown)(skeleton).create(asked)).release()  # type: ignore[union-attr]
            records = []
        grown.sweep()
        self.layout, self._old, self._engine, self._committed = asked, old, grown, set(records)
        for block in self.missing:
            record = old.unchanged_block(block)
            if record is not None:
                old.take_over(record, block, grown)
                self._committed.add(block)
        self._install_when_complete()

    def _install_when_complete(self) -> None:
        """The grown store takes the place of the old one in one step, once it has everything."""
        if self._old is None or self.missing:
            return
        exchange(growing_path(self.path), self.path)
        shutil.rmtree(growing_path(self.path), ignore_errors=True)
        self._old, self._engine = None, type(self._engine)(self.path)

    def _finish_exchange(self) -> None:
        """A kill between the two renames of an exchange (where the kernel has no single one) leaves a complete store beside."""
        place = growing_path(self.path)
        if not self.path.exists() and engine_at(place) is not None:
            place.rename(self.path)

    def _replace(self) -> None:
        """Swap a stale store for an empty one: moved aside first, so that the name never stands for a half-removed store."""
        shutil.rmtree(growing_path(self.path), ignore_errors=True)
        remove = move_aside(self.path)
        self._lock.release()
        remove()
        self._engine, self._lock, self._created = self._acquire()
        self.refresh()


def _check_codec(engine: type[Engine], codec: str) -> None:
    if codec not in engine.codecs:
        raise ConfigError(f"codec is {codec!r}, for format {engine.format}: {did_you_mean(codec, engine.codecs)}")


def _resumable(
    grown: Engine, asked: Layout, samples: tuple[tuple[str, str], ...], retry_skipped: bool
) -> list[int] | None:
    """The blocks of an interrupted growth towards the same layout; None when there is none that can be continued."""
    try:
        if not type(grown).owns(grown.path) or grown.ledger.check_seal(grown.path):
            return None
        there, records = grown.load(), list(grown.ledger.records())
    except CorruptStoreError:
        return None
    if not there.probe.differences(asked.probe):
        there = replace(there, probe=asked.probe)  # but for rounding the same
    same = there.ids == asked.ids and there.attributes() == asked.attributes() and not columns_differ(there, asked)
    agrees = all(samples[record.start : record.stop] == record.samples for record in records)
    if not same or not agrees:
        return None
    again = [record.block for record in records if record.skipped] if retry_skipped else []
    for block in again:
        grown.ledger.drop(block)
    return [record.block for record in records if record.block not in again]
