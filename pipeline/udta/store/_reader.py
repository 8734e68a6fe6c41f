"""Reading a store: rows by number, and never one that no ledger record covers, nor one of another store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from udta.errors import ConfigError, RowError, StoreReplacedError, UncommittedRowError, did_you_mean
from udta.fingerprint import TapSpec
from udta.store._dask_array import lazy_array
from udta.store._directory import store_path
from udta.store._dtypes import as_tensor, value_dtype
from udta.store._history import extraction_totals
from udta.store._labels import MULTICLASS, is_known
from udta.store._snapshot import Snapshot, read_snapshot
from udta.store._tap_rows import TapRows


class Store:
    """A store opened for reading, as it stood when it was opened.

    Attributes:
        path: its directory.
        format: `zarr` or `hdf5`.
        taps: what is stored, by tap name in execution order.
        ids: relative path of every sample, in row order.
        task: what the labels are for; of a store as it lies on the disk always `multiclass`, see `relabelled`.
        labels: class index of every row, int64, -1 where unknown; of other tasks float32 [rows, classes], NaN where unknown.
        label_source: where they came from, as JSON; empty for its own.
        splits: split of every row.
        classes: names of classes, into which a label is an index, or of the labels or targets of another task.
        fingerprint: what decided the feature values.
        n_views: stored versions of every sample; view 0 is the evaluation transform.
        skipped: reason by row, for images that could not be used.
        records: the ledger's record of every committed block, without its samples; see `hashes`.
        clipped: how many values of each uint8 tap lay outside its range.
        source: where the images and the backbone were when it was made; a hint.
    """

    def __init__(self, path: Path) -> None:
        found = read_snapshot(path, Snapshot.of)
        self.path, self.format = path, found.engine.format
        self.layout, self.records, self._contents = found.layout, found.records, found.contents
        # By row, not by block: a check of rows is one indexing operation.
        self._committed, records = np.zeros(len(self.layout), dtype=bool), self.records.values()
        for record in records:
            self._committed[record.start : record.stop] = True
        self.skipped = {row: reason for record in records for row, reason in record.skipped.items()}
        quantised = self.layout.quantisers
        self.clipped = {tap: sum(record.clipped.get(tap, 0) for record in records) for tap in quantised}
        self.taps: Mapping[str, TapSpec] = self.layout.taps
        self.ids, self.splits = np.array(self.layout.ids), np.array(self.layout.splits)
        self.labels, self.classes, self.task = self.layout.labels, self.layout.classes, MULTICLASS
        self.fingerprint, self.label_source = self.layout.fingerprint, dict[str, Any]()
        self.n_views, self.source = self.layout.n_views, self.layout.source
        self._rows = {name: TapRows(found.engine, self.layout, self.records, tap) for name, tap in self.taps.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process maps the files itself. It opens them by name, which may be that of a grown store by then.
        return _opened_again, (self.path, self.layout.generation)

    def __len__(self) -> int:
        return len(self.layout)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, rows={len(self)}, views={self.n_views}, taps={list(self.taps)})"

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of the file's bytes by id, for every committed row."""
        return {
            self.layout.ids[row]: self._contents[row].tobytes().hex()
            for row in np.flatnonzero(self._committed).tolist()
        }

    @cached_property
    def extraction(self) -> Mapping[str, Any]:
        """What its extraction took, see `extraction_totals`; empty where that is not known."""
        return extraction_totals(self.path)

    @property
    def complete(self) -> bool:
        """Whether every row is covered by the ledger."""
        return bool(self._committed.all())

    @property
    def n_committed(self) -> int:
        """How many rows the ledger covers, skipped ones included."""
        return int(self._committed.sum())

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label, bool [rows]."""
        return is_known(self.labels, self.task)

    @property
    def value_dtype(self) -> str | None:
        """The dtype to ask of a loader so that features are values: None, the stored one, unless that is a code."""
        return "float16" if self.layout.quantisers else None

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
        # Before the skipped ones are left out: a split that is half extracted would look like a small one.
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

        bfloat16 comes as the NumPy type of `ml_dtypes`; uint8 comes as codes, any other `dtype` gives the values they stand for.

        Raises:
            ConfigError: unknown taps or views.
            RowError: a row outside the store.
            UncommittedRowError: a row whose block was never committed, or whose image was skipped.
            StoreReplacedError: the store grew, was replaced or removed, and files of these rows were not open yet.
        """
        index = self.check_rows(rows)
        chosen = list(range(self.n_views)) if views is None else list(views)
        self.check_views(chosen)
        # All views of a row behind each other, as they come out: one gather a tap, and no transposition of what it gave.
        every, each = np.repeat(index, len(chosen)), np.tile(np.array(chosen, dtype=np.int64), len(index))
        slots, local = self.layout.slots(every, each)
        result = {}
        for tap in self.check_taps(taps):
            spec = self.taps[tap]
            # Opened before memory is taken: the files bound the size of a row, attributes of a stranger do not.
            self._rows[tap].open()
            stored = np.empty((len(every), *spec.shape), dtype=self._rows[tap].dtype)
            self._rows[tap].take(slots, local, stored)
            result[tap] = self.decode(tap, stored, dtype).reshape(len(index), len(chosen), *spec.shape)
        return result

    def dask(self, tap: str) -> Any:
        """A lazy `dask.array` `[rows, views, *tap.shape]` with one chunk a block; rows of skipped images are NaN.

        In the stored float dtype; float16 for uint8, float32 for bfloat16.

        Raises:
            ConfigError: there is no such tap, or dask is not installed.
            UncommittedRowError: the extraction is unfinished.
        """
        return lazy_array(self, tap)

    def rows_of(self, tap: str) -> TapRows:
        """The rows of one tap by their places, as stored, for readers that have checked what they ask for."""
        return self._rows[tap]

    def decode(self, tap: str, stored: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
        """Stored bits of one tap as the type that `read` promises; without a copy where there is nothing to convert."""
        spec = self.taps[tap]
        values = stored.view(value_dtype(spec.dtype))
        target = values.dtype if dtype is None else np.dtype(dtype)
        if target == values.dtype:
            return values
        if tap not in self.layout.quantisers:
            return values.astype(target)
        # In half precision where that is asked, with one rounding (see `Quantiser`); other types by way of float32.
        decoded = np.empty(values.shape, dtype=np.float16 if target == np.float16 else np.float32)
        self.layout.quantisers[tap].decode(values, as_tensor(decoded))
        return decoded.astype(target, copy=False)

    def check_rows(self, rows: ArrayLike) -> np.ndarray:
        """The row numbers as int64, all of them readable; raises as `read` does."""
        index = np.atleast_1d(np.asarray(rows))
        # No booleans: a mask would be read as rows 0 and 1. An empty list is an array of floats to NumPy.
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise ConfigError(f"rows are a list of integers, not {index.dtype} of shape {list(index.shape)}")
        index = index.astype(np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            wrong = index.min() if index.min() < 0 else index.max()
            raise RowError(f"row {wrong} is outside {self.path}, which has {len(self)} rows")
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

    Args:
        path: a directory, or for a Zarr store a URL such as `s3://bucket/store` (with the extra `s3`), which is read chunk by
            chunk through zarr-python.

    Returns:
        The store as it stands now; a later growth does not show in it.

    Raises:
        NotAStoreError: there is no store at this path.
        CorruptStoreError: its metadata or a ledger record cannot be understood or is damaged.

    Example:
        >>> store = udta.open_store("photos.zarr")
        >>> store.read([0, 5], taps=["layer4"])["layer4"].shape  # rows, views, and the shape of the tap
        (2, 2, 512)
    """
    return Store(store_path(path))


def _opened_again(path: Path, generation: str) -> Store:
    store = Store(path)
    if store.layout.generation != generation:
        raise StoreReplacedError(f"{path} was grown or replaced since it was opened; open it again")
    return store
