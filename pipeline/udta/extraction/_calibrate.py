"""A first pass over a few images: the ranges of uint8 features, and what storage type and arithmetic cost.

The error is measured on images other than those that the ranges were fitted on: relative root mean square error for each tap,
sqrt(sum (stored - exact)^2 / sum exact^2), and the top-1 difference of a linear probe (ridge regression on the last tap's
average) between stored and exact features. Where the backbone does not run in float32, the same relative error says how far its
features are from those that it gives in float32. All of it is written into the store's attributes. The images are chosen evenly
over the rows and the pass happens before the store exists, so that its result depends on nothing but the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from udta.errors import FeatureError
from udta.extraction._job import feature_batches
from udta.extraction._request import Request
from udta.extraction._work import FeatureSource
from udta.fingerprint import TapSpec
from udta.store import Layout, Quantiser, known_layout, not_finite, storable_as, value_dtype

# Ranges need many images; the rounding error of a float is known to be small and needs few.
_IMAGES = {"uint8": 512, "float16": 64, "bfloat16": 64}
# A second pass of the backbone in float32, which on a GPU or with bf16 instructions is the slow one.
_COMPUTE_IMAGES = 64
# Of features that are standardised and divided by the root of their number, so that it need not follow their size.
_RIDGE = 1e-2


@dataclass(frozen=True)
class Calibration:
    """`quantisers` for the taps looked at (none but for uint8), and the errors as `Layout` keeps them."""

    quantisers: Mapping[str, Quantiser]
    storage_error: Mapping[str, Any]
    compute_error: Mapping[str, Any]

    def into(self, layout: Layout, known: Layout | None) -> Layout:
        """The layout with this calibration, beside that of a store that grows."""
        if known is None:
            return replace(
                layout,
                quantisers=dict(self.quantisers),
                storage_error=dict(self.storage_error),
                compute_error=dict(self.compute_error),
            )
        return replace(
            layout,
            # The store's own win: its codes were made with them, and rows that come have to mean the same.
            quantisers={**self.quantisers, **known.quantisers},
            storage_error=_joined(known.storage_error, self.storage_error, layout),
            compute_error=_joined(known.compute_error, self.compute_error, layout),
            probe=known.probe.with_more(layout.probe),
            # Other taps may need another format (`x.view` fails on channels last), the same ones the same bits.
            memory_format=known.memory_format if set(layout.taps) == set(known.taps) else layout.memory_format,
        )


def _joined(known: Mapping[str, Any], new: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The error of a store that grows: its own figures, and those of the taps that come."""
    error = {**new, **known}
    if error:
        rmse = {**known.get("relative_rmse", {}), **new.get("relative_rmse", {})}
        error["relative_rmse"] = {tap: rmse[tap] for tap in layout.taps if tap in rmse}
    return error


def calibrated(request: Request) -> Request:
    """The request with ranges and errors of its storage type: a store's own where that one goes on, else measured.

    Raises:
        ImageError: an image cannot be used, where none may be skipped. FeatureError: its features cannot be stored.
    """
    known, usable = known_layout(request.options.out, request.layout)
    if known is not None and not usable and request.options.if_stale == "refuse":
        # The writer is about to refuse it, with what differs; 512 images need not be computed for that.
        return request
    found = _calibrate(request, known if usable else None)
    return replace(request, layout=found.into(request.layout, known if usable else None))


def _calibrate(request: Request, known: Layout | None = None) -> Calibration:
    """Look at the taps that `known`, the layout of a store that is continued or grows, does not have.

    Raises:
        ImageError: an image cannot be used, where none may be skipped. FeatureError: its features cannot be stored.
    """
    dtype = request.taps[0].dtype
    taps = [replace(tap, dtype="float32") for tap in request.taps if known is None or tap.name not in known.taps]
    quantisers: dict[str, Quantiser] = {}
    storage_error: dict[str, Any] = {}
    compute_error: dict[str, Any] = {}
    if taps and dtype in _IMAGES:
        rows, exact = _features(request, taps, _IMAGES[dtype])
        labels = request.layout.labels[rows]
        if len(rows):
            quantisers, storage_error = _storage(exact, labels, dtype)
    if taps and request.compute != "float32":
        rows, fast = _features(request, taps, _COMPUTE_IMAGES)
        others, reference = _features(replace(request, compute="float32"), taps, _COMPUTE_IMAGES)
        # Either may skip an image that the other need not: features may overflow in one arithmetic alone.
        both, mine, theirs = np.intersect1d(rows, others, return_indices=True)
        # View 0 alone: errors of one image's views are about the same, and each costs a pass.
        rmse = {tap: _relative_rmse(reference[tap][theirs, 0], fast[tap][mine, 0]) for tap in fast}
        compute_error = {"images": len(both), "relative_rmse": rmse} if len(both) else {}
    return Calibration(quantisers, storage_error, compute_error)


def _storage(
    exact: Mapping[str, Float[np.ndarray, "images views ..."]], labels: Int64[np.ndarray, " images"], dtype: str
) -> tuple[dict[str, Quantiser], dict[str, Any]]:
    """Ranges of codes, and what storing costs."""
    # Ranges that were fitted on an image never clip it, so that its error would be too good.
    fitted, held_out = slice(0, None, 2), slice(1 if len(labels) > 1 else 0, None, 2)
    quantisers = {tap: Quantiser.fit(values[fitted].reshape(-1, *values.shape[2:])) for tap, values in exact.items()}
    quantisers = quantisers if dtype == "uint8" else {}
    stored = {tap: _round_trip(values, dtype, quantisers.get(tap)) for tap, values in exact.items()}
    rmse = {tap: _relative_rmse(exact[tap][held_out, 0], stored[tap][held_out, 0]) for tap in exact}
    # The last tap is what a linear classifier reads.
    last = list(exact)[-1]
    accuracies = [_probe_top1(values[last][:, 0], labels) for values in (exact, stored)]
    difference = None if accuracies[0] is None or accuracies[1] is None else accuracies[1] - accuracies[0]
    return quantisers, {"images": len(labels), "relative_rmse": rmse, "probe_top1_difference": difference}


def _features(
    request: Request, taps: list[TapSpec], count: int
) -> tuple[Int64[np.ndarray, " images"], dict[str, Float[np.ndarray, "images views ..."]]]:
    """Rows of some usable images and their float32 features: of view 0 and, for the ranges, of the last augmented view."""
    rows = np.unique(np.linspace(0, len(request.manifest) - 1, min(count, len(request.manifest))).astype(int)).tolist()
    views = sorted({0, request.views.count - 1}) if request.taps[0].dtype == "uint8" else [0]
    parts: dict[str, list[np.ndarray]] = {tap.name: [] for tap in taps}
    kept: list[int] = []
    dtype = request.taps[0].dtype
    types = {tap.name: "float32" if dtype == "uint8" else dtype for tap in taps}
    on_error = request.options.on_error
    for batch in feature_batches(FeatureSource.of(request, taps), rows, views):
        usable = np.flatnonzero([row not in batch.skipped for row in batch.rows])
        stored = {tap: storable_as(values, dtype) for tap, values in batch.features.items()}
        bad = not_finite(stored, types, usable)
        if bad and on_error == "fail":
            position = min(bad)
            raise FeatureError(
                f"{request.manifest.ids[batch.rows[position]]}: {bad[position]}; such values are never stored"
            )
        good = [position for position in usable.tolist() if position not in bad]
        for tap, found in parts.items():
            found.append(batch.features[tap][good])
        kept += [batch.rows[position] for position in good]
    return np.array(kept, dtype=np.int64), {tap: np.concatenate(found) for tap, found in parts.items()}


def _round_trip(exact: Float[np.ndarray, "images views ..."], dtype: str, quantiser: Quantiser | None) -> np.ndarray:
    """What a reader gets back, as float32."""
    if quantiser is None:
        return exact.astype(value_dtype(dtype)).astype(np.float32)
    return quantiser.round_trip(torch.from_numpy(exact.reshape(-1, *exact.shape[2:]))).numpy().reshape(exact.shape)


def _relative_rmse(exact: np.ndarray, stored: np.ndarray) -> float:
    # In float64: beside the squares of float16's largest values a sum in float32 would lose all others.
    norm = float(np.square(exact, dtype=np.float64).sum())
    error = float(np.square(stored.astype(np.float64) - exact).sum())
    return float(np.sqrt(error / norm)) if norm else 0.0


def _probe_top1(features: Float[np.ndarray, "images ..."], labels: Int64[np.ndarray, " images"]) -> float | None:
    """Top-1 of ridge regression onto the classes, trained on every other labelled image; None when that says nothing."""
    x = features.reshape(*features.shape[:2], -1).mean(axis=2)[labels >= 0].astype(np.float64)
    y = labels[labels >= 0]
    train, test = slice(0, None, 2), slice(1, None, 2)
    # One class is always right; no image, never.
    if len(np.unique(y[train])) < 2 or not len(y[test]):
        return None
    mean, scale = x[train].mean(axis=0), x[train].std(axis=0) + 1e-6
    x = (x - mean) / scale / np.sqrt(x.shape[1])
    targets = (y[train, None] == np.unique(y[train])) - 1 / len(np.unique(y[train]))
    # The dual form: as many unknowns as images, far fewer than features.
    dual = np.linalg.solve(x[train] @ x[train].T + _RIDGE * np.eye(len(x[train])), targets)
    guess = np.unique(y[train])[(x[test] @ (x[train].T @ dual)).argmax(axis=1)]
    return float((guess == y[test]).mean())
