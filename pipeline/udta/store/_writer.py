"""Writing a store block by block, so that being killed at any moment costs at most the block in flight.

The order is: chunks of every tap, flushed; then the ledger record, flushed and renamed. A store appears under its name only as
a complete skeleton: it is built beside it and renamed, so a half-made store never has the name. A store that grows is built
beside the old one in the same way and exchanged with it when it is complete. See `Staging` for where that is.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from udta.errors import NotAStoreError, StaleStoreError, StoreError
from udta.store._block_writer import BlockWriter
from udta.store._changes import Changes
from udta.store._continuation import Continuation, compare_with_stored, resumable
from udta.store._directory import Directory, is_absent_or_empty
from udta.store._engine import Engine
from udta.store._growth import Predecessor
from udta.store._layout import Layout, generation_of
from udta.store._registry import engine_at, engine_with
from udta.store._staging import Staging

IfStale = Literal["refuse", "replace"]
DEFAULT_FORMAT = "zarr"
# What a store that lacks nothing need not mind: a read-only disk, one of somebody else, a full one.
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


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
        self.path, self._format = path, format
        self._prune, self._retry_skipped, self.changes = prune, retry_skipped, Changes(0)
        # Out of what decides the features and which rows they are in: two stores that share it are exchangeable for a reader.
        layout = replace(layout, generation=generation_of(layout, hashes))
        samples = tuple(zip(layout.ids, hashes, strict=True))
        try:
            # Resolved: the store that the link leads to is locked and exchanged where it lies, and the link stays one.
            self._enter(path.resolve())
            try:
                # Looked at under the lock alone: before, a writer that waited here would go on with the store that was there
                # when it began to wait, and not with the one that took its name meanwhile.
                engine = self._create(layout) if is_absent_or_empty(path) else engine_at(path)
                if engine is None:
                    raise NotAStoreError(
                        f"{path} exists and is not a udta store; it was left as it is, choose another --out"
                    )
                super().__init__(path, engine, layout, samples)
                if not self._created:
                    self._reopen(if_stale)
            except BaseException:
                self._leave()
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

    def claims_folder(self) -> Path:
        """An empty folder for the claims of other processes; `close` removes it."""
        return self._staging.claims()

    @property
    def lock_descriptor(self) -> int:
        """Of the store's lock, for child processes that write it; it is held until the last of them ends."""
        return self._staging.descriptor

    def close(self) -> None:
        """Let go of the store. One that this writer created and put nothing into is removed again."""
        if self._held is not None:
            # An empty store would be taken for one whose extraction was interrupted. What took its name meanwhile is not ours.
            if self._created and not self._committed and not self._engine.directory.replaced:
                self._held.remove_store()
            elif self._old is not None and not self._committed:
                self._held.forget_growth()
            elif self._old is None and not self.missing:
                # From here on a record that is not there was lost. Which is no reason to fail: the ledger has every one.
                with contextlib.suppress(OSError):
                    self._engine.ledger.mark(complete=True)
        self._leave()

    # --- The folder in which it works.

    def _enter(self, store: Path) -> None:
        """Keep other writers out. A store on a read-only disk can be opened all the same, if it lacks nothing."""
        self._created, self._held, self._refusal = False, None, None
        try:
            self._held = Staging(store)
        except OSError as error:
            if error.errno not in _NOT_WRITABLE or engine_at(store) is None:
                raise
            self._refusal = error

    @property
    def _staging(self) -> Staging:
        """Raises what kept it from being had, for a store that lies where nothing can be written."""
        if self._held is None:
            assert self._refusal is not None
            raise self._refusal
        return self._held

    def _leave(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None

    # --- A new store, or what is there: as it is, grown, or anew.

    def _create(self, layout: Layout) -> Engine:
        self._staging.create(self._empty_store(layout))
        self._created = True
        return self._engine_there()

    def _empty_store(self, layout: Layout) -> Callable[[Path], None]:
        """What fills a folder with one."""
        engine = engine_with(self._format or DEFAULT_FORMAT, layout.codec)
        return lambda folder: engine(Directory(folder)).create(layout)

    def _engine_there(self) -> Engine:
        """Of the store that was given the name just now: the one before stays with the directory that it held."""
        engine = engine_at(self.path)
        assert engine is not None
        return engine

    def _reopen(self, if_stale: IfStale) -> None:
        found = compare_with_stored(
            self._engine, self.layout, self._samples, self._format, retry_skipped=self._retry_skipped
        )
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
            self._continue(found)

    def _continue(self, found: Continuation) -> None:
        self.layout, self._committed = found.asked, set(found.records)
        if not self.missing and not found.outdated and self._held is None:
            return  # on a read-only disk everything below would fail, and there is nothing to do
        self._staging.forget_growth()  # which is not wanted any more
        self._engine.sweep()
        if found.outdated:
            self._engine.save_metadata(found.asked)
        if self.missing:
            # Before the first block is written: after a kill, those that were not reached would be taken for lost.
            self._engine.ledger.mark(complete=False)

    def _grow(self, old: Predecessor, asked: Layout) -> None:
        """Build the grown store beside the old one, or go on building it."""
        old.drop_damaged()  # before anything is copied: a new checksum would fit whatever was there
        grown = type(self._engine)(Directory(self._staging.growing))
        records = resumable(grown, asked, self._samples)
        if records is None:
            # Of the class alone: `grown` is bound to a path at which there is nothing yet.
            self._staging.begin_growth(lambda folder: type(grown)(Directory(folder)).create(asked))
        retried = [record.block for record in records or () if record.skipped and self._retry_skipped]
        for block in retried:
            grown.ledger.drop(block)
        grown.sweep()
        self.layout, self._old, self._engine = asked, old, grown
        self._committed = {record.block for record in records or ()} - set(retried)
        for block in self.missing:
            record = old.unchanged_block(block)
            if record is not None:
                old.take_over(record, block, grown)
                self._committed.add(block)
        self._install_when_complete()

    def _after_commit(self) -> None:
        try:
            self._install_when_complete()
        except OSError as error:
            raise StoreError(
                f"{self.path}: the grown store is complete, but cannot take the place of the old one "
                f"({error.strerror or error}); it is kept, the same command goes on with it"
            ) from error

    def _install_when_complete(self) -> None:
        """The grown store takes the place of the old one in one step, once it has everything."""
        if self._old is None or self.missing:
            return
        self._engine.ledger.mark(complete=True)  # before it has the name: a reader may open it at once
        self._staging.finish_growth(self._old.engine.directory)
        self._old, self._engine = None, self._engine_there()

    def _replace(self) -> None:
        """Swap a stale store for an empty one."""
        self._staging.forget_growth()
        self._staging.replace(self._empty_store(self.layout), self._engine.directory)
        self._created, self._engine = True, self._engine_there()
        self.refresh()  # what was committed was so in the stale one
