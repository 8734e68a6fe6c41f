"""Stores of synthetic features for the storage benchmarks: four float16 taps of 7 x 7, 94 KB a sample, as a ResNet-18 gives."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from udta.fingerprint import Fingerprint, TapSpec
from udta.store import Layout, Quantiser, StoreWriter

CHANNELS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
BLOCK_ROWS = 256
ROW_BYTES = sum(CHANNELS.values()) * 49 * 2


def layout(rows: int, dtype: str = "float16", views: int = 1) -> Layout:
    """Rows of one split, in blocks of 256."""
    taps = {name: TapSpec(name, "grid(7)", (channels, 7, 7), dtype) for name, channels in CHANNELS.items()}
    found = Layout(
        ids=tuple(f"{row:08d}" for row in range(rows)),
        labels=np.arange(rows) % 10,
        splits=("train",) * rows,
        classes=tuple("0123456789"),
        taps=taps,
        n_views=views,
        block_rows=BLOCK_ROWS,
        fingerprint=Fingerprint({"dtype": dtype}),
    )
    if dtype != "uint8":
        return found
    ranges = np.stack([np.zeros(49, np.float32), np.full(49, 4, np.float32)]).reshape(2, 1, 7, 7)
    return replace(
        found,
        quantisers={
            name: Quantiser.fit(np.broadcast_to(ranges, (2, tap.shape[0], 7, 7))) for name, tap in taps.items()
        },
    )


def block(found: Layout, number: int) -> dict[str, np.ndarray]:
    """Features of one block: like those after a ReLU, half of them zero; one view after another in memory."""
    start, stop = found.block_range(number)
    rng = np.random.default_rng(number)
    features = {}
    for name, tap in found.taps.items():
        shape = (found.n_views, stop - start, *tap.shape)
        if tap.dtype == "uint8":
            values = rng.integers(0, 256, shape, dtype=np.uint8)
        else:
            values = np.maximum(rng.standard_normal(shape, dtype=np.float32), 0).astype(np.float16)
        features[name] = values.swapaxes(0, 1)
    return features


def write_store(
    path: Path,
    found: Layout,
    format: str,  # noqa: A002
    features: Mapping[int, Any] | None = None,
    stop: int | None = None,
) -> None:
    """Commit every block that is missing, or the first ones."""
    hashes = [f"{row:064x}" for row in range(len(found))]
    with StoreWriter(path, found, hashes, format=format) as writer:
        for number in writer.missing[:stop]:
            writer.write(number, features[number] if features else block(found, number))


def versions(*packages: str) -> dict[str, str]:
    """Of Python, torch, NumPy and the packages that are installed."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
