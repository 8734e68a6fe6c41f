"""The extraction: read and decode in threads, forward here, write in a thread; commit block by block.

Decoding, the backbone and the disk work at the same time, and what is in memory is bounded by two blocks and a few batches,
whatever the number of images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from udta.backbones import Backbone, TapForward
from udta.data import Manifest
from udta.extraction.calibration import calibrate
from udta.extraction.report import ExtractReport, stored_bytes
from udta.extraction.room import check_room
from udta.extraction.setup import OnError, Setup, set_up
from udta.extraction.stream import FeatureStream
from udta.fingerprint import TapSpec
from udta.store import IfStale, Layout, Part, StoreWriter, known_layout, open_store, stored_dtype

# Called after every batch with the rows done and the rows there are to do.
Progress = Callable[[int, int], None]


def extract(
    images: str | Path | Manifest,
    *,
    backbone: str | Backbone,
    taps: str,
    out: str | Path,
    weights: str = "none",
    views: int = 1,
    dtype: str = "float16",
    codec: str = "none",
    format: str | None = None,  # noqa: A002  # the word that users type
    splits: str | Path | None = None,
    compute: str = "auto",
    device: str = "auto",
    on_error: OnError = "fail",
    seed: int = 0,
    transform: str | None = None,
    augment: str | None = None,
    if_stale: IfStale = "refuse",
    progress: Progress | None = None,
) -> ExtractReport:
    """Compute the features of every image and view that the store at `out` does not hold yet.

    A store that is there is continued where it stopped. It grows where more is asked than it has: other images (by content),
    another tap, more views; then exactly what is missing is computed, and the grown store takes the old one's place when it
    is complete.

    Args:
        images: a folder with a sub-folder per class, a CSV/Parquet manifest, `name:folder` of a built-in dataset, or a
            `Manifest`.
        backbone: a torchvision name, `package.module:factory`, or a `Backbone` that is built already.
        taps: such as `features.6,features.13=grid(14),features.18=avg`.
        out: the store.
        weights: a file, a torchvision weight enum, or `none`.
        views: versions of each image: view 0 is the evaluation transform, the others are seeded augmentations.
        dtype: how features are stored: `float16`, `float32`, `bfloat16`, or `uint8` with a scale and offset per channel.
        codec: lossless compression; `none` is read fastest. Zarr: `zstd`, `gzip`; HDF5: `gzip`, `lzf`.
        format: `zarr` (for a new store by default) or `hdf5`.
        splits: a CSV `path,split`; without one a seeded stratified 70/30 rule.
        compute: arithmetic of the backbone; `auto` takes the fastest that the device does well.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, or `skip` it and record why.
        seed: of the views and of the split rule.
        transform: replaces the backbone's evaluation transform.
        augment: the transform of views 1 and up; random resized crop, flip and colour jitter by default.
        if_stale: `refuse` a store at `out` that was made from something else, or `replace` it.
        progress: called after every batch.

    Raises:
        ConfigError: wrong options; every problem is listed.
        DataError: images, manifest or splits that cannot be used. ImageError: one image, with `on_error="fail"`.
        BackboneError: a backbone or weights that cannot be used.
        StaleStoreError, NotAStoreError, StoreBusyError, StoreError: what is at `out`, see `StoreWriter`; no room on the disk.
        FeatureError: the backbone produced NaN or infinite values.
    """
    setup = set_up(
        images,
        backbone=backbone,
        taps=taps,
        weights=weights,
        views=views,
        dtype=dtype,
        codec=codec,
        format=format,
        splits=splits,
        compute=compute,
        device=device,
        on_error=on_error,
        seed=seed,
        transform=transform,
        augment=augment,
    )
    path = Path(out)
    setup = calibrated(setup, path, on_error, if_stale)
    with StoreWriter(path, setup.layout, setup.manifest.hashes, if_stale, format) as writer:
        check_room(path, writer.layout, len(writer.missing))
        started, done = time.perf_counter(), _run(writer, setup, on_error, progress)
        seconds = time.perf_counter() - started
    store = open_store(path)
    return ExtractReport(
        store=str(path),
        format=store.format,
        rows=len(store),
        computed_rows=done.rows,
        computed_images=done.images,
        n_views=views,
        seconds=seconds,
        bytes=stored_bytes(path),
        skipped={setup.manifest.ids[row]: reason for row, reason in store.skipped.items()},
        clipped=store.clipped,
        storage_error=store.layout.storage_error,
        fingerprint=store.fingerprint.digest,
        device=_device_name(setup.device),
        compute=setup.compute,
        dtype=dtype,
    )


def calibrated(setup: Setup, path: Path, on_error: OnError, if_stale: IfStale = "refuse") -> Setup:
    """The setup with ranges and errors of its storage type: those of the store at `path` where it goes on, else measured."""
    known, usable = known_layout(path, setup.layout)
    if known is not None and not usable and if_stale == "refuse":
        return setup  # the writer is about to refuse it
    found = calibrate(setup, on_error, known if usable else None)
    return replace(setup, layout=found.into(setup.layout, known if usable else None))


class _Done:
    """What a run computed: rows of which anything was computed, and images (views of rows) through the backbone."""

    rows = images = 0


def _run(writer: StoreWriter, setup: Setup, on_error: OnError, progress: Progress | None) -> _Done:
    """Compute and commit every missing block."""
    layout, done = writer.layout, _Done()
    plan = {block: writer.parts(block) for block in writer.missing}
    streams = _streams([part for parts in plan.values() for part in parts], setup, layout, on_error, progress)
    with ThreadPoolExecutor(1, thread_name_prefix="udta-write") as disk:
        pending: Future[None] | None = None
        try:
            for block, parts in plan.items():
                start, stop = layout.block_range(block)
                features = _block_buffers(layout, stop - start)
                writer.recall(block, features)
                skipped: dict[int, str] = {}
                clipped: dict[str, int] = {}
                for part in parts:
                    bad, outside = streams[part.views, part.taps].fill(part.rows, start, features)
                    skipped |= bad
                    clipped = {tap: clipped.get(tap, 0) + outside.get(tap, 0) for tap in {*clipped, *outside}}
                    done.images += len(part.rows) * len(part.views)
                done.rows += len(np.unique(np.concatenate([part.rows for part in parts]))) if parts else 0
                if pending:
                    pending.result()  # one block at most waits for the disk, and its errors surface here
                pending = disk.submit(writer.write, block, features, skipped, clipped)
        finally:
            for stream in streams.values():
                stream.close()
            if pending:
                pending.result()
    return done


def _streams(
    parts: list[Part], setup: Setup, layout: Layout, on_error: OnError, progress: Progress | None
) -> dict[tuple[Any, Any], FeatureStream]:
    """One stream for each combination of views and taps: one for a new store, up to three for one that grows."""
    kinds: dict[tuple[Any, Any], list[Part]] = {}
    for part in parts:
        kinds.setdefault((part.views, part.taps), []).append(part)

    total, handled = sum(len(part.rows) for part in parts), 0

    def count(rows: int) -> None:
        nonlocal handled
        handled += rows
        if progress:
            progress(handled, total)

    def forward(taps: tuple[TapSpec, ...]) -> TapForward:
        return TapForward(setup.backbone, taps, setup.compute, setup.device)

    return {
        kind: FeatureStream(found, setup.manifest, setup.views, layout, forward, on_error, count)
        for kind, found in kinds.items()
    }


def _block_buffers(layout: Layout, rows: int) -> dict[str, np.ndarray]:
    """`[rows, views, *tap.shape]` for every tap, one view after another in memory: a view is written without a copy."""
    return {
        name: np.empty((layout.n_views, rows, *tap.shape), stored_dtype(tap.dtype)).swapaxes(0, 1)
        for name, tap in layout.taps.items()
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
