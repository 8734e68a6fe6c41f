"""A first pass over a few images: the ranges of uint8 features, and what the storage type costs.

The error is measured on images other than those that the ranges were fitted on: relative root mean square error for each tap,
sqrt(sum (stored - exact)^2 / sum exact^2), and the top-1 difference of a linear probe (ridge regression on the last tap's
average) between stored and exact features. Both are written into the store's attributes. The images are chosen evenly over the
rows and the pass happens before the store exists, so that its result depends on nothing but the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from udta.backbones import TapForward
from udta.extraction.pipeline import decoded_batches
from udta.extraction.setup import OnError, Setup
from udta.store import BATCH_ROWS, Layout, Quantiser, value_dtype

# Ranges need many images; the rounding error of a float is known to be small and needs few.
_IMAGES = {"uint8": 512, "float16": 64, "bfloat16": 64}
_RIDGE = 1e-2


@dataclass(frozen=True)
class Calibration:
    """`quantisers` for the taps looked at (none but for uint8), and `error` as `Layout.storage_error` keeps it."""

    quantisers: Mapping[str, Quantiser]
    error: Mapping[str, Any]

    def into(self, layout: Layout, known: Layout | None) -> Layout:
        """The layout with this calibration, beside that of a store that grows."""
        if known is None:
            return replace(layout, quantisers=dict(self.quantisers), storage_error=dict(self.error))
        error = {**self.error, **known.storage_error}
        if error:
            rmse = {**known.storage_error.get("relative_rmse", {}), **self.error.get("relative_rmse", {})}
            error["relative_rmse"] = {tap: rmse[tap] for tap in layout.taps if tap in rmse}
        return replace(layout, quantisers={**self.quantisers, **known.quantisers}, storage_error=error)


def calibrate(setup: Setup, on_error: OnError, known: Layout | None = None) -> Calibration:
    """Look at the taps that `known`, the layout of a store that is continued or grows, does not have.

    Raises:
        ImageError: an image cannot be used, with `on_error="fail"`.
    """
    dtype = setup.taps[0].dtype
    taps = [tap for tap in setup.taps if known is None or tap.name not in known.taps]
    if dtype not in _IMAGES or not taps:
        return Calibration({}, {})
    exact, labels = _features(setup, [replace(tap, dtype="float32") for tap in taps], _IMAGES[dtype], on_error)
    if not len(labels):
        return Calibration({}, {})
    fitted, held_out = slice(0, None, 2), slice(1 if len(labels) > 1 else 0, None, 2)
    quantisers = {tap: Quantiser.fit(values[fitted].reshape(-1, *values.shape[2:])) for tap, values in exact.items()}
    quantisers = quantisers if dtype == "uint8" else {}
    stored = {tap: _round_trip(values, dtype, quantisers.get(tap)) for tap, values in exact.items()}
    rmse = {tap: _relative_rmse(exact[tap][held_out, 0], stored[tap][held_out, 0]) for tap in exact}
    last = taps[-1].name
    accuracies = [_probe_top1(values[last][:, 0], labels) for values in (exact, stored)]
    difference = None if accuracies[0] is None or accuracies[1] is None else accuracies[1] - accuracies[0]
    return Calibration(quantisers, {"images": len(labels), "relative_rmse": rmse, "probe_top1_difference": difference})


def _features(
    setup: Setup, taps: list[Any], count: int, on_error: OnError
) -> tuple[dict[str, Float[np.ndarray, "images views ..."]], Int64[np.ndarray, " images"]]:
    """Float32 features of some images: of view 0 and, for the ranges, of the last augmented view; and their labels."""
    rows = np.unique(np.linspace(0, len(setup.manifest) - 1, min(count, len(setup.manifest))).astype(int)).tolist()
    views = sorted({0, setup.views.count - 1}) if setup.taps[0].dtype == "uint8" else [0]
    forward = TapForward(setup.backbone, taps, setup.compute, setup.device)
    parts: dict[str, list[np.ndarray]] = {tap.name: [] for tap in taps}
    labels: list[int] = []
    batches = [rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS)]
    for batch in decoded_batches(setup.manifest, setup.views, views, batches, on_error):
        good = [position for position, row in enumerate(batch.rows) if row not in batch.skipped]
        outputs = [
            forward(torch.from_numpy(batch.images[:, view].copy()).permute(0, 3, 1, 2)) for view in range(len(views))
        ]
        for tap, found in parts.items():
            found.append(np.stack([output[tap].cpu().numpy()[good] for output in outputs], axis=1))
        labels += [int(setup.layout.labels[batch.rows[position]]) for position in good]
    return {tap: np.concatenate(found) for tap, found in parts.items()}, np.array(labels, dtype=np.int64)


def _round_trip(exact: Float[np.ndarray, "images views ..."], dtype: str, quantiser: Quantiser | None) -> np.ndarray:
    """What a reader gets back, as float32."""
    if quantiser is None:
        return exact.astype(value_dtype(dtype)).astype(np.float32)
    return quantiser.round_trip(torch.from_numpy(exact.reshape(-1, *exact.shape[2:]))).numpy().reshape(exact.shape)


def _relative_rmse(exact: np.ndarray, stored: np.ndarray) -> float:
    norm = float(np.square(exact, dtype=np.float64).sum())
    error = float(np.square(stored.astype(np.float64) - exact).sum())
    return float(np.sqrt(error / norm)) if norm else 0.0


def _probe_top1(features: Float[np.ndarray, "images ..."], labels: Int64[np.ndarray, " images"]) -> float | None:
    """Top-1 of ridge regression onto the classes, trained on every other labelled image; None when that says nothing."""
    x = features.reshape(*features.shape[:2], -1).mean(axis=2)[labels >= 0].astype(np.float64)
    y = labels[labels >= 0]
    train, test = slice(0, None, 2), slice(1, None, 2)
    if len(np.unique(y[train])) < 2 or not len(y[test]):
        return None
    mean, scale = x[train].mean(axis=0), x[train].std(axis=0) + 1e-6
    x = (x - mean) / scale / np.sqrt(x.shape[1])
    targets = (y[train, None] == np.unique(y[train])) - 1 / len(np.unique(y[train]))
    # The dual form: as many unknowns as images, far fewer than features.
    dual = np.linalg.solve(x[train] @ x[train].T + _RIDGE * np.eye(len(x[train])), targets)
    guess = np.unique(y[train])[(x[test] @ (x[train].T @ dual)).argmax(axis=1)]
    return float((guess == y[test]).mean())
