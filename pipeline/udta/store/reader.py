"""Reading a store: rows by number, and never one that no ledger record covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from udta.errors import ConfigError, CorruptStoreError, NotAStoreError, UncommittedRowError, did_you_mean
from udta.fingerprint import Fingerprint, TapSpec
from udta.store.layout import Layout
from udta.store.ledger import Record
from udta.store.zarr_engine import ZarrEngine


class Store:
    """A store opened for reading, as it stood when it was opened.

    Attributes:
        path: its directory.
        taps: what is stored, by tap name in execution order.
        ids: relative path of every sample, in row order.
        labels: class index of every row, int64, -1 where unknown.
        splits: split of every row.
        classes: class names; a label is an index into them.
        fingerprint: what decided the feature values.
        n_views: stored versions of every sample; view 0 is the evaluation transform.
        skipped: reason by row, for images that could not be used.
        source: where the images and the backbone were when it was made; a hint.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotAStoreError(f"there is no store at {path}; make one with `udta extract IMAGES ... --out {path}`")
        if not ZarrEngine.owns(path):
            raise NotAStoreError(f"{path} is not a udta store")
        self.path = path
        self._engine = ZarrEngine(path)
        self.layout: Layout = self._engine.load()
        records = list(self._engine.ledger.records())
        self._committed = _committed_rows(self.layout, records, path)
        self.hashes: Mapping[str, str] = {name: content for record in records for name, content in record.samples}
        self.skipped = {row: reason for record in records for row, reason in record.skipped.items()}
        self.taps: Mapping[str, TapSpec] = self.layout.taps
        self.ids, self.splits = np.array(self.layout.ids), np.array(self.layout.splits)
        self.labels, self.classes = self.layout.labels, self.layout.classes
        self.fingerprint: Fingerprint = self.layout.fingerprint
        self.n_views, self.source = self.layout.n_views, self.layout.source

    def __len__(self) -> int:
        return len(self.layout)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, rows={len(self)}, views={self.n_views}, taps={list(self.taps)})"

    @property
    def complete(self) -> bool:
        """Whether every row is covered by the ledger."""
        return bool(self._committed.all())

    @property
    def n_committed(self) -> int:
        """How many rows the ledger covers, skipped ones included."""
        return int(self._committed.sum())

    def rows(self, split: str | None = None) -> np.ndarray:
        """The readable rows of a split (of all for None), int64 in ascending order; skipped images are left out.

        Raises:
            ConfigError: no row has this split.
            UncommittedRowError: the extraction of some of these rows is unfinished.
        """
        chosen = np.ones(len(self), dtype=bool) if split is None else self.splits == split
        if not chosen.any():
            raise ConfigError(
                f"{self.path} has no split {split!r}: {did_you_mean(str(split), sorted(set(self.splits.tolist())))}"
            )
        self._check_committed(np.flatnonzero(chosen))
        chosen[list(self.skipped)] = False
        return np.flatnonzero(chosen)

    def read(
        self,
        rows: ArrayLike,
        taps: Sequence[str] | None = None,
        views: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
    ) -> dict[str, np.ndarray]:
        """Features by tap, `[rows, views, *tap.shape]`, in the order asked and in the stored dtype unless `dtype` is given.

        Raises:
            ConfigError: unknown taps or views.
            IndexError: a row outside the store.
            UncommittedRowError: a row whose block was never committed, or whose image was skipped.
        """
        index = self.check_rows(rows)
        chosen = list(range(self.n_views)) if views is None else list(views)
        self.check_views(chosen)
        result = {}
        for tap in self.check_taps(taps):
            spec = self.taps[tap]
            values = np.empty((len(index), len(chosen), *spec.shape), dtype=spec.dtype if dtype is None else dtype)
            for position, view in enumerate(chosen):
                self.gather(tap, index, np.full(len(index), view), values[:, position])
            result[tap] = values
        return result

    def gather(self, tap: str, rows: np.ndarray, views: np.ndarray, out: np.ndarray) -> None:
        """Copy row `rows[i]` in view `views[i]` of one tap to `out[i]`. The caller has checked tap, rows and views."""
        blocks, local = np.divmod(rows, self.layout.block_rows)
        keys = blocks * self.n_views + views
        order = np.argsort(keys, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            if len(group):
                chunk = self._engine.chunk(self.layout, tap, int(blocks[group[0]]), int(views[group[0]]))
                out[group] = chunk[local[group]]

    def check_rows(self, rows: ArrayLike) -> np.ndarray:
        """The row numbers as int64, all of them readable; raises as `read` does."""
        index = np.atleast_1d(np.asarray(rows))
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise ConfigError(f"rows are a list of integers, not {index.dtype} of shape {list(index.shape)}")
        index = index.astype(np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise IndexError(
                f"row {index.min() if index.min() < 0 else index.max()} is outside {self.path}, which has {len(self)} rows"
            )
        self._check_committed(index)
        for row in index if self.skipped else ():
            if int(row) in self.skipped:
                raise UncommittedRowError(
                    f"row {row} of {self.path} ({self.ids[row]}) has no features, its image was skipped: {self.skipped[int(row)]}"
                )
        return index

    def check_taps(self, taps: Sequence[str] | None) -> list[str]:
        """The tap names asked for, all by default; unknown ones raise `ConfigError`."""
        names = list(self.taps) if taps is None else list(taps)
        problems = [
            f"{self.path} has no tap {tap!r}: {did_you_mean(tap, self.taps)}" for tap in names if tap not in self.taps
        ]
        if problems:
            raise ConfigError(problems)
        return names

    def check_views(self, views: Sequence[int]) -> None:
        """Raises `ConfigError` when there is no such view."""
        problems = [
            f"{self.path} has no view {view}: it has {self.n_views}, numbered from 0"
            for view in views
            if not 0 <= view < self.n_views
        ]
        if problems:
            raise ConfigError(problems)

    def _check_committed(self, rows: np.ndarray) -> None:
        absent = rows[~self._committed[rows]]
        if len(absent):
            raise UncommittedRowError(
                f"row {absent[0]} of {self.path} was never committed ({self.n_committed} of {len(self)} rows are); "
                "run the same `udta extract` again to finish it"
            )


def open_store(path: str | Path) -> Store:
    """Open a store for reading.

    Raises:
        NotAStoreError: there is no store at this path.
        CorruptStoreError: its metadata or a ledger record cannot be understood.
    """
    return Store(Path(path))


def _committed_rows(layout: Layout, records: Sequence[Record], path: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    committed = np.zeros(len(layout), dtype=bool)
    for record in records:
        expected = layout.block_range(record.block)
        named = tuple(name for name, _ in record.samples)
        if (record.start, record.stop) != expected or named != layout.ids[record.start : record.stop]:
            raise CorruptStoreError(
                f"{path}: the ledger record of block {record.block} is about other rows than the store has there; "
                "remove the store and extract again"
            )
        committed[record.start : record.stop] = True
    return committed
