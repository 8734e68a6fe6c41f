"""The extraction: images in, a complete store and a report out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from udta.backbones import Backbone
from udta.data import Decoder, Manifest
from udta.extraction.blocks import Effort, compute_blocks
from udta.extraction.calibration import calibrate
from udta.extraction.meter import Meter
from udta.extraction.processes import in_processes
from udta.extraction.report import ExtractReport, stored_bytes
from udta.extraction.room import check_room
from udta.extraction.setup import PREFETCH, OnError, Setup, set_up
from udta.store import IfStale, StoreWriter, add_run, known_layout, open_store

# Called after every batch with the rows done, the rows there are to do, and where the time goes.
Progress = Callable[[int, int, str], None]


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
    decoder: Decoder = "pillow",
    if_stale: IfStale = "refuse",
    workers: int | None = None,
    prefetch: int = PREFETCH,
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
        decoder: `pillow`, or `nvjpeg`: plain JPEGs are decoded and their views are made on the GPU.
        if_stale: `refuse` a store at `out` that was made from something else, or `replace` it.
        workers: processes; one by default, or one for each GPU where there are several. A store that grows is written by one.
        prefetch: batches that are decoded ahead of the backbone.
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
        decoder=decoder,
        workers=workers,
        prefetch=prefetch,
    )
    path = Path(out)
    setup = calibrated(setup, path, on_error, if_stale)
    with StoreWriter(path, setup.layout, setup.manifest.hashes, if_stale, format) as writer:
        check_room(path, writer.layout, len(writer.missing))
        created, meter = writer.is_new, Meter()
        n = 1 if writer.grows else workers or _default_workers(setup.device)
        count = _counter(writer, meter, progress)
        if n == 1 or not writer.missing:
            blocks, effort = list(writer.missing), Effort(prefetch)
            rows = compute_blocks(writer, setup, blocks, on_error, effort=effort, meter=meter, computed=count)
        else:
            rows = in_processes(n, writer, setup, on_error, prefetch=prefetch, meter=meter, computed=count)
        seconds = meter.elapsed
    store = open_store(path)
    report = ExtractReport(
        store=str(path),
        format=store.format,
        rows=len(store),
        computed_rows=rows,
        computed_images=meter.images,
        n_views=views,
        seconds=seconds,
        step_seconds=meter.seconds,
        bytes=stored_bytes(path),
        written_bytes=meter.bytes,
        skipped={setup.manifest.ids[row]: reason for row, reason in store.skipped.items()},
        clipped=store.clipped,
        storage_error=store.layout.storage_error,
        compute_error=store.layout.compute_error,
        fingerprint=store.fingerprint.digest,
        device=_device_name(setup.device),
        compute=setup.compute,
        dtype=dtype,
        workers=n,
    )
    add_run(path, report.to_json(), anew=created)
    return report


def calibrated(setup: Setup, path: Path, on_error: OnError, if_stale: IfStale = "refuse") -> Setup:
    """The setup with ranges and errors of its storage type: those of the store at `path` where it goes on, else measured."""
    known, usable = known_layout(path, setup.layout)
    if known is not None and not usable and if_stale == "refuse":
        return setup  # the writer is about to refuse it
    found = calibrate(setup, on_error, known if usable else None)
    return replace(setup, layout=found.into(setup.layout, known if usable else None))


def _counter(writer: StoreWriter, meter: Meter, progress: Progress | None) -> Callable[[int], None]:
    """Adds up rows for the progress display."""
    total = sum(len(part.rows) for block in writer.missing for part in writer.parts(block)) if progress else 0
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total, str(meter))

    return count


def _default_workers(device: torch.device) -> int:
    several = device.type == "cuda" and device.index is None
    return max(1, torch.cuda.device_count()) if several else 1


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
