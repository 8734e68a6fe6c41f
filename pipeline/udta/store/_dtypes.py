"""Storage types: what lies on the disk, and what the bytes mean.

NumPy, Zarr and HDF5 know no bfloat16, so its bits are stored as uint16, which anybody can open and view as bfloat16. uint8 is a
code that a scale and an offset per channel turn into a value, see `quantise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StorageType:
    """`stored`: of the arrays on disk; `value`: of what `Store.read` gives; `fill`: marks what was never written."""

    stored: np.dtype
    value: np.dtype
    fill: float | int


BFLOAT16: np.dtype = np.dtype(ml_dtypes.bfloat16)

STORAGE_TYPES = {
    "float32": StorageType(np.dtype("<f4"), np.dtype("<f4"), float("nan")),
    "float16": StorageType(np.dtype("<f2"), np.dtype("<f2"), float("nan")),
    "bfloat16": StorageType(np.dtype("<u2"), BFLOAT16, 0x7FC0),  # the bits of a NaN
    "uint8": StorageType(np.dtype("u1"), np.dtype("u1"), 0),  # no code is free for "absent": the ledger alone can tell
}


def stored_dtype(name: str) -> np.dtype:
    """NumPy type of the array on disk for a storage type."""
    return STORAGE_TYPES[name].stored


def value_dtype(name: str) -> np.dtype:
    """NumPy type that `Store.read` returns for a storage type."""
    return STORAGE_TYPES[name].value


# Rows that are looked at together: enough that Python does little, few enough that the copy stays in the processor's cache.
_CHECKED_BYTES = 2**20
# Exponent bits all ones mean infinity or NaN: a comparison of integers, three times as fast as `isfinite` on halves.
_EXPONENTS: dict[str, tuple[np.dtype, int, int]] = {
    "float32": (np.dtype("<u4"), 0x7FFFFFFF, 0x7F800000),
    "float16": (np.dtype("<u2"), 0x7FFF, 0x7C00),
    "bfloat16": (np.dtype("<u2"), 0x7FFF, 0x7F80),
}


def finite_rows(values: np.ndarray, name: str) -> np.ndarray:
    """Which rows of stored values `[rows, ...]` hold no NaN and no infinity; every code of uint8 is finite."""
    finite = np.ones(len(values), dtype=bool)
    if name not in _EXPONENTS or not values.size:
        return finite
    kind, magnitude, infinity = _EXPONENTS[name]
    # By the sign-free bits as integers: they are ordered as the magnitudes are, with infinity and NaN above all numbers.
    step = max(1, _CHECKED_BYTES * len(values) // values.nbytes)
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        largest = (values[rows].view(kind) & kind.type(magnitude)).max(axis=tuple(range(1, values.ndim)))
        finite[rows] = largest < infinity
    return finite


def not_finite(
    features: Mapping[str, np.ndarray], types: Mapping[str, str], positions: np.ndarray | None = None
) -> dict[int, str]:
    """Why rows of stored values `[rows, ...]` by tap may not be used, by position; nothing for those that may.

    Args:
        features: as stored.
        types: storage type of each tap.
        positions: look at these rows alone.
    """
    reasons: dict[int, str] = {}
    for tap, values in features.items():
        finite = finite_rows(values, types[tap])
        looked_at = np.arange(len(values)) if positions is None else positions
        # The first tap that is bad gives the reason: later ones are mostly so because of it.
        for position in looked_at[~finite[looked_at]].tolist():
            reasons.setdefault(position, _why_not_finite(tap, values[position], types[tap]))
    return reasons


def _why_not_finite(tap: str, values: np.ndarray, name: str) -> str:
    if as_tensor(values.view(value_dtype(name))).isnan().any():
        return f"tap {tap!r} is NaN"
    if name == "float16":
        return f"tap {tap!r} overflows float16, which ends at 65504: --dtype bfloat16 or float32 hold larger values"
    return f"tap {tap!r} is infinite"


def storable_as(values: np.ndarray, name: str) -> np.ndarray:
    """float32 values as what a storage type makes of them: infinite where it cannot hold them; themselves for uint8."""
    if name == "uint8":
        return values
    with np.errstate(over="ignore"):  # infinite is the answer here, no accident
        return values.astype(value_dtype(name)).view(stored_dtype(name))


def as_tensor(values: np.ndarray) -> Tensor:
    """A tensor on the array's memory; torch does not know NumPy's extension type bfloat16."""
    import torch  # here, so that the names of storage types and engines cost no two seconds

    if values.dtype == BFLOAT16:
        return torch.from_numpy(values.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(values)
