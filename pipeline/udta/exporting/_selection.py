"""What of a store is exported, and how: checked as a whole, so that every mistake is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from udta.errors import ConfigError, FeatureError, Problems, did_you_mean
from udta.fingerprint import TapSpec
from udta.store import Store, not_finite, row_bytes, stored_dtype, value_dtype

POOLS = ("none", "avg", "max")
DTYPES = ("float16", "float32")
# Codes of uint8 are no values, and few tools know bfloat16.
_EXPORTED = {"uint8": "float16", "bfloat16": "float32"}
# Rows are read so many bytes at a time, so that memory does not depend on how many there are.
_CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Selection:
    """Chosen rows (ascending), views and taps of a store; `taps` have the shape and dtype that is exported."""

    store: Store
    rows: Int64[np.ndarray, " rows"]
    views: tuple[int, ...]
    taps: tuple[TapSpec, ...]
    pool: str

    def __len__(self) -> int:
        return len(self.rows)

    def chunks(self, taps: Sequence[TapSpec]) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Positions and `[rows, views, *shape]` of some taps, a bounded number of bytes at a time."""
        # Four bytes a value: whatever is stored and wanted, nothing on the way is larger than float32.
        row = sum(len(self.views) * 4 * int(np.prod(self.store.taps[tap.name].shape)) for tap in taps)
        step = max(1, _CHUNK_BYTES // max(row, 1))
        for start in range(0, len(self.rows), step):
            rows = self.rows[start : start + step]
            # Tap by tap from the same rows: what is in memory is a chunk of each, never a whole tap.
            yield slice(start, start + len(rows)), {tap.name: self._values(rows, tap) for tap in taps}

    def _values(self, rows: np.ndarray, tap: TapSpec) -> np.ndarray:
        with np.errstate(over="ignore"):  # what it would warn of is refused
            values = self._converted(rows, tap)
        bad = not_finite({tap.name: values.view(stored_dtype(tap.dtype))}, {tap.name: tap.dtype})
        if bad:
            position = min(bad)
            raise FeatureError(f"{self.store.ids[rows[position]]}: {bad[position]}; such values are not exported")
        return values

    def _converted(self, rows: np.ndarray, tap: TapSpec) -> np.ndarray:
        dtype = value_dtype(tap.dtype)
        if self.pool == "none":
            return self.store.read(rows, [tap.name], self.views, dtype=dtype)[tap.name]
        # In float32, and rounded once at the end: a sum over 49 positions in float16 loses digits, and may overflow.
        values = self.store.read(rows, [tap.name], self.views, dtype="float32")[tap.name]
        axes = _pooled_axes(values.shape[2:])
        pooled: np.ndarray = values.mean(axis=axes) if self.pool == "avg" else values.max(axis=axes)
        return pooled.astype(dtype)


def select(
    store: Store,
    *,
    taps: Sequence[str] | None = None,
    views: Literal["all"] | int | Sequence[int] = 0,
    split: str | None = None,
    rows: ArrayLike | None = None,
    pool: str = "none",
    dtype: str | None = None,
    as_stored: bool = False,
) -> Selection:
    """Check and resolve what is asked, with the arguments of `export`; `as_stored` keeps types, codes and all rows.

    Raises:
        ConfigError: unknown taps, views, split, pool or dtype; all of them at once.
        UncommittedRowError: a row that was never committed, or whose image was skipped, was named.
    """
    problems = Problems()
    if pool not in POOLS:
        problems.add(f"pool is {pool!r}: {did_you_mean(pool, POOLS)}")
    if dtype is not None and dtype not in DTYPES:
        problems.add(f"dtype is {dtype!r}: {did_you_mean(dtype, DTYPES)}")
    if split is not None and rows is not None:
        problems.add("split and rows exclude each other: give one of them")
    chosen = tuple(range(store.n_views)) if views == "all" else tuple(np.atleast_1d(np.asarray(views)).tolist())
    problems.collect(store.check_views, chosen)
    names = problems.collect(store.check_taps, taps) or []
    picked = problems.collect(store.rows, split) if rows is None else problems.collect(store.check_rows, rows)
    if as_stored and split is None and rows is None:
        picked = np.arange(len(store))  # the whole store, and the rows of skipped images too
    if len(set(names)) < len(names) or len(set(chosen)) < len(chosen):
        problems.add("a tap or a view was given twice")
    problems.raise_any()
    assert picked is not None  # or its problem was raised
    if not len(picked):
        raise ConfigError("no row was chosen")
    if as_stored and dtype is not None:
        raise ConfigError("a store keeps its stored dtype when it is converted: leave --dtype out")
    specs = [replace(spec, dtype=_dtype(spec, dtype, as_stored)) for spec in map(store.taps.__getitem__, names)]
    # Ascending, as they lie in the store: a pass over it reads forward. A row that was named twice is there once.
    return Selection(store, np.unique(picked), chosen, tuple(_pooled(spec, pool) for spec in specs), pool)


def exported_bytes(selection: Selection) -> int:
    """What the features of a selection take."""
    return len(selection) * len(selection.views) * sum(row_bytes(tap) for tap in selection.taps)


def _dtype(spec: TapSpec, asked: str | None, keep: bool) -> str:
    return spec.dtype if keep else asked or _EXPORTED.get(spec.dtype, spec.dtype)


def _pooled(spec: TapSpec, pool: str) -> TapSpec:
    if pool == "none" or len(spec.shape) == 1:
        return spec
    # The reducer says so too, or a mean would pass for what the store holds.
    channels = spec.shape[1] if len(spec.shape) == 2 else spec.shape[0]
    return replace(spec, reducer=f"{spec.reducer}|{pool}", shape=(channels,))


def _pooled_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of `[rows, views, *shape]` that are positions: H and W of `[C, H, W]`, T of `[T, D]`."""
    return {1: (), 2: (2,)}.get(len(shape), (3, 4))
