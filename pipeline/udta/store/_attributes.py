"""The attributes and columns of a store, checked on opening; see `udta._files.documents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from udta._files.documents import (
    Document,
    FingerprintDocument,
    Size,
    TapDocument,
    check_probe_document,
    check_taps,
    raise_problem,
    validated,
)
from udta._files.names import labels_problem, path_problem


class _Quantiser(Document):
    scale: list[float]
    offset: list[float]


class _Error(Document):
    images: int | None = None
    relative_rmse: dict[str, float] = Field(default={})
    probe_top1_difference: float | None = None


# What has a default here was not written by every version whose stores are still read.
class _Attributes(Document):
    classes: list[str]
    taps: list[TapDocument] = Field(min_length=1)
    # No memory holds the columns that would be allocated for more.
    rows: Annotated[int, Field(ge=0, lt=2**40)]
    views: Size
    block_rows: Size
    split_rule: str
    codec: str
    quantisation: dict[str, _Quantiser]
    storage_error: _Error
    compute_error: _Error = _Error()
    probe: dict[str, Any] = Field(default={})
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    impure: list[str] = Field(default=[])
    fingerprint: FingerprintDocument
    source: dict[str, Any]


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Raises `ValueError` where these are not attributes that a store can have."""
    found = validated(_Attributes, attributes)
    check_taps(found.taps)
    check_probe_document(found.probe)
    raise_problem(labels_problem(found.classes, "class"))
    shapes = {tap.name: tap.shape for tap in found.taps if tap.dtype == "uint8"}
    if not found.quantisation.keys() <= shapes.keys():
        raise ValueError("quantisation: it has an entry for a tap that is not there, or not of uint8")
    for name, quantiser in found.quantisation.items():
        # A scale of 0 would divide by it; tokens `[T, D]` have their channels last.
        channels = shapes[name][1 if len(shapes[name]) == 2 else 0]
        if not len(quantiser.scale) == len(quantiser.offset) == channels or min(quantiser.scale) <= 0:
            raise ValueError(
                f"quantisation.{name}: it needs a scale above 0 and an offset for each of {channels} channels"
            )


def check_columns(attributes: Mapping[str, Any], ids: Sequence[str], labels: np.ndarray, splits: Sequence[str]) -> None:
    """Raises `ValueError` where the columns cannot be those of a store with these attributes."""
    rows = attributes["rows"]
    if not len(ids) == len(labels) == len(splits) == rows:
        raise ValueError(f"its columns have {len(ids)}, {len(labels)} and {len(splits)} rows, not {rows}")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(f"its labels are {labels.dtype}, not whole numbers")
    if rows and not -1 <= labels.min() <= labels.max() < len(attributes["classes"]):
        raise ValueError(f"a label is not in -1 to {len(attributes['classes']) - 1}")
    raise_problem(path_problem(ids))
    # Each once: they are few, and a store has as many as it has rows.
    raise_problem(labels_problem(list(dict.fromkeys(splits)), "split"))
