"""Writing a store block by block, so that being killed at any moment costs at most the block in flight.

The order is: chunks of every tap, flushed; then the ledger record, flushed and renamed. A store appears under its name only as
a complete skeleton: it is built in a temporary directory beside it and renamed, so a half-made store never has the name.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from udta.errors import FeatureError, NotAStoreError, StaleStoreError, StoreError
from udta.store.engine import Engine
from udta.store.layout import Layout
from udta.store.ledger import Record, checksum
from udta.store.lock import DirectoryLock
from udta.store.zarr_engine import ZarrEngine

IfStale = Literal["refuse", "replace"]
_SHOWN = 5


class StoreWriter:
    """The one writer of a store: opened on what is there, it says which blocks are `missing` and commits them one by one.

    Args:
        path: where the store is or shall be; its parent directory is made when it does not exist.
        layout: what the store shall hold.
        hashes: SHA-256 of every sample's file, in row order.
        if_stale: what to do with a store that was made from something else: `refuse` it, or `replace` it by an empty one.

    Raises:
        StaleStoreError: another fingerprint or other samples are stored there (only with `refuse`).
        NotAStoreError: the path holds something that is not a udta store; it is left as it is.
        StoreBusyError: another process is writing the store.
        StoreError: the path cannot be written.
    """

    def __init__(self, path: Path, layout: Layout, hashes: Sequence[str], if_stale: IfStale = "refuse") -> None:
        self.path = path
        self._engine: Engine = ZarrEngine(path)
        self._samples = tuple(zip(layout.ids, hashes, strict=True))
        try:
            self._lock, self._created = self._acquire(layout)
            self._committed: set[int] = set()
            self.layout = layout if self._created else self._reopen(layout, if_stale)
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
    def missing(self) -> list[int]:
        """The blocks that no ledger record covers, in order."""
        return [block for block in range(self.layout.n_blocks) if block not in self._committed]

    def write(self, block: int, features: Mapping[str, np.ndarray], skipped: Mapping[int, str] | None = None) -> None:
        """Store and commit one block.

        Args:
            block: one of `missing`.
            features: for every tap `[rows, views, *tap.shape]` in the stored dtype.
            skipped: reason by row (of the store) for samples whose image could not be used; their features become NaN.

        Raises:
            FeatureError: a feature of a sample that is not skipped is NaN or infinite; nothing of the block is committed.
        """
        start, stop = self.layout.block_range(block)
        bad = dict(skipped or {})
        keep = np.array([row not in bad for row in range(start, stop)])
        for tap, values in features.items():
            self._check(tap, values, start, keep)
            values[~keep] = np.nan
        self._engine.write_block(self.layout, block, features)
        checksums = {
            tap: tuple(checksum(values[:, view]) for view in range(self.layout.n_views))
            for tap, values in features.items()
        }
        self._engine.ledger.put(Record(block, start, stop, self._samples[start:stop], checksums, bad))
        self._committed.add(block)

    def close(self) -> None:
        """Let go of the store. One that this writer created and put nothing into is removed again."""
        if self._created and not self._committed:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()

    def _acquire(self, layout: Layout) -> tuple[DirectoryLock, bool]:
        """The lock on the store at `path`, and whether it was created just now."""
        if not _is_vacant(self.path):
            if not self._engine.owns(self.path):
                raise NotAStoreError(
                    f"{self.path} exists and is not a udta store; it was left as it is, choose another --out"
                )
            return DirectoryLock(self.path), False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_skeletons(self.path)
        skeleton = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".new", dir=self.path.parent))
        lock = DirectoryLock(skeleton)
        try:
            skeleton.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            ZarrEngine(skeleton).create(layout)
            skeleton.rename(self.path)
        except BaseException:
            shutil.rmtree(skeleton, ignore_errors=True)
            lock.release()
            if not _is_vacant(self.path) and self._engine.owns(self.path):  # somebody else's skeleton came first
                return DirectoryLock(self.path), False
            raise
        lock.directory = self.path
        return lock, True

    def _reopen(self, layout: Layout, if_stale: IfStale) -> Layout:
        try:
            self._engine.sweep()
            stored = self._engine.load()
            records = list(self._engine.ledger.records())
            differences = stored.fingerprint.diff(layout.fingerprint) or self._sample_differences(stored, records)
            if not differences:
                self._committed = {record.block for record in records}
                return self._update_rows(stored, layout)
            if if_stale == "refuse":
                raise StaleStoreError(
                    f"{self.path} was made from something else; write to another place or remove it first:", differences
                )
        except BaseException:
            self._lock.release()
            raise
        return self._replace(layout)

    def _replace(self, layout: Layout) -> Layout:
        """Swap a stale store for an empty one: moved aside first, so that the name never stands for a half-removed store."""
        aside = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".new", dir=self.path.parent))
        self.path.rename(aside / "stale")
        self._lock.release()
        shutil.rmtree(aside)
        self._lock, self._created = self._acquire(layout)
        return layout

    def _update_rows(self, stored: Layout, layout: Layout) -> Layout:
        """The same features under other labels, splits or class names: those columns are rewritten, nothing is computed."""
        updated = replace(layout, block_rows=stored.block_rows)
        same_columns = np.array_equal(stored.labels, updated.labels) and stored.splits == updated.splits
        if not same_columns or stored.attributes() != updated.attributes():
            self._engine.save_rows(updated)
        return updated

    def _sample_differences(self, stored: Layout, records: Sequence[Record]) -> list[str]:
        """How the samples differ: by id against the columns, by content against the committed blocks."""
        asked = dict(self._samples)
        lines = [
            *_listing("samples not asked for any more", [name for name in stored.ids if name not in asked]),
            *_listing("samples not stored", sorted(asked.keys() - set(stored.ids))),
        ]
        recorded = [sample for record in records for sample in record.samples]
        lines += _listing(
            "samples with other content", [name for name, content in recorded if asked.get(name, content) != content]
        )
        if not lines and stored.ids != tuple(asked):
            lines.append("the same samples in another order")
        return lines

    def _check(self, tap: str, values: np.ndarray, start: int, keep: np.ndarray) -> None:
        # One reduction over the block: NaN and infinities survive a sum of float32 partial sums, finite fp16 cannot overflow it.
        if np.isfinite(values[keep].sum(dtype=np.float64)):
            return
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1) | ~keep
        name, _ = self._samples[start + int(np.argmin(finite))]
        hint = "; --dtype float32 holds larger values than float16" if values.dtype == np.float16 else ""
        raise FeatureError(f"tap {tap!r} of sample {name!r} holds NaN or infinite values, which are never stored{hint}")


def _is_vacant(path: Path) -> bool:
    """Nothing there, or an empty directory."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _sweep_skeletons(path: Path) -> None:
    """Remove skeletons of this store that killed writers left; a living writer holds the lock of its own."""
    for leftover in path.parent.glob(f".{path.name}.*.new"):
        try:
            lock = DirectoryLock(leftover, patience_s=0)
        except StoreError:
            continue
        shutil.rmtree(leftover, ignore_errors=True)
        lock.release()


def _listing(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = ", ..." if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
