"""The extraction: read and decode in threads, forward here, write in a thread; commit block by block.

Decoding, the backbone and the disk work at the same time, and what is in memory is bounded by two blocks and a few batches,
whatever the number of images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from udta.backbones import (
    Backbone,
    TapForward,
    build_backbone,
    parse_taps,
    resolve_compute,
    resolve_device,
    resolve_taps,
)
from udta.data import Manifest, Transform, ViewSpec, read_images
from udta.errors import ConfigError, Problems, did_you_mean
from udta.extraction.pipeline import OnError, ViewBatch, batch_ranges, decoded_batches
from udta.extraction.report import ExtractReport, stored_bytes
from udta.fingerprint import FEATURE_VERSION, Fingerprint, TapSpec
from udta.store import IfStale, Layout, StoreWriter, default_block_rows, open_store

# Called after every batch with the rows done and the rows there are to do.
Progress = Callable[[int, int], None]

DTYPES = ("float16", "float32")


def extract(
    images: str | Path | Manifest,
    *,
    backbone: str | Backbone,
    taps: str,
    out: str | Path,
    weights: str = "none",
    views: int = 1,
    dtype: str = "float16",
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

    Args:
        images: a folder with a sub-folder per class, a CSV/Parquet manifest, or a `Manifest`.
        backbone: a torchvision name, `package.module:factory`, or a `Backbone` that is built already.
        taps: such as `features.6,features.13=grid(14),features.18=avg`.
        out: the store; made if it is not there, continued where it stopped if it is.
        weights: a file, a torchvision weight enum, or `none`.
        views: versions of each image: view 0 is the evaluation transform, the others are seeded augmentations.
        dtype: how features are stored, `float16` or `float32`.
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
        StaleStoreError, NotAStoreError, StoreBusyError, StoreError: what is at `out`, see `StoreWriter`.
        FeatureError: the backbone produced NaN or infinite values.
    """
    problems = Problems()
    requests = problems.collect(parse_taps, taps)
    place = problems.collect(resolve_device, device)
    arithmetic = problems.collect(resolve_compute, compute, place) if place is not None else None
    for string in (transform, augment):
        problems.collect(Transform.parse, string) if string else None
    for what, value, valid in (("dtype", dtype, DTYPES), ("on_error", on_error, ("fail", "skip"))):
        if value not in valid:
            problems.add(f"{what} is {value!r}: {did_you_mean(value, valid)}")
    if views < 1:
        problems.add(f"views is {views}, but view 0, the evaluation transform, is always stored: give 1 or more")
    if transform and isinstance(backbone, Backbone):
        problems.add("transform belongs to building a backbone, but this one is built already: set it there")
    problems.raise_any()
    assert requests is not None  # a problem otherwise
    assert place is not None
    assert arithmetic is not None

    manifest = images if isinstance(images, Manifest) else read_images(images, splits=_path(splits), seed=seed)
    network = backbone if isinstance(backbone, Backbone) else build_backbone(backbone, weights, evaluate=transform)
    network.check_frozen()
    spec = _view_spec(network, views, seed, augment)
    specs = resolve_taps(network, requests, dtype)
    layout = Layout(
        ids=manifest.ids,
        labels=manifest.labels,
        splits=manifest.splits,
        classes=manifest.classes,
        taps={tap.name: tap for tap in specs},
        n_views=views,
        block_rows=default_block_rows(specs, views),
        fingerprint=feature_fingerprint(network, specs, spec, arithmetic, dtype),
        split_rule=manifest.split_rule,
        source={"images": str(manifest.root.resolve()), **network.source},
    )
    forward = TapForward(network, specs, arithmetic, place)
    path = Path(out)
    with StoreWriter(path, layout, manifest.hashes, if_stale) as writer:
        started, done = time.perf_counter(), _run(writer, manifest, spec, forward, on_error, progress)
        seconds = time.perf_counter() - started
    store = open_store(path)
    return ExtractReport(
        store=str(path),
        rows=len(store),
        computed_rows=done,
        n_views=views,
        seconds=seconds,
        bytes=stored_bytes(path),
        skipped={manifest.ids[row]: reason for row, reason in store.skipped.items()},
        fingerprint=store.fingerprint.digest,
        device=_device_name(place),
        compute=arithmetic,
        dtype=dtype,
    )


def feature_fingerprint(
    backbone: Backbone, taps: tuple[TapSpec, ...], views: ViewSpec, compute: str, dtype: str
) -> Fingerprint:
    """Everything that decides the feature values (DESIGN contract 3)."""
    return Fingerprint(
        {
            "feature_version": FEATURE_VERSION,
            "backbone": backbone.fingerprint_fields(),
            "input": {
                "evaluate": str(views.evaluate),
                "mean": list(backbone.input.mean),
                "std": list(backbone.input.std),
            },
            "taps": {tap.name: {"reducer": tap.reducer, "shape": list(tap.shape)} for tap in taps},
            "views": views.to_json(),
            "compute": compute,
            "dtype": dtype,
        }
    )


def _run(
    writer: StoreWriter,
    manifest: Manifest,
    views: ViewSpec,
    forward: TapForward,
    on_error: OnError,
    progress: Progress | None,
) -> int:
    """Compute and commit every missing block; returns the number of rows computed."""
    ranges = {block: batch_ranges(*writer.layout.block_range(block)) for block in writer.missing}
    batches = decoded_batches(manifest, views, (rows for block in ranges.values() for rows in block), on_error)
    total, done = sum(len(rows) for block in ranges.values() for rows in block), 0
    with ThreadPoolExecutor(1, thread_name_prefix="udta-write") as disk:
        pending: Future[None] | None = None
        try:
            for block, block_ranges in ranges.items():
                start, stop = writer.layout.block_range(block)
                features = _block_buffers(writer.layout, stop - start)
                skipped: dict[int, str] = {}
                for _ in block_ranges:
                    batch = next(batches)
                    _forward_into(features, batch, start, forward)
                    skipped |= batch.skipped
                    done += len(batch.rows)
                    if progress:
                        progress(done, total)
                if pending:
                    pending.result()  # one block at most waits for the disk, and its errors surface here
                pending = disk.submit(writer.write, block, features, skipped)
        finally:
            batches.close()
            if pending:
                pending.result()
    return done


def _block_buffers(layout: Layout, rows: int) -> dict[str, np.ndarray]:
    return {name: np.empty((rows, layout.n_views, *tap.shape), dtype=tap.dtype) for name, tap in layout.taps.items()}


def _forward_into(features: Mapping[str, np.ndarray], batch: ViewBatch, start: int, forward: TapForward) -> None:
    """One view at a time, so that a batch has the same rows in it whatever the number of views."""
    rows = slice(batch.rows.start - start, batch.rows.stop - start)
    for view in range(batch.images.shape[1]):
        pixels = torch.from_numpy(np.ascontiguousarray(batch.images[:, view])).permute(0, 3, 1, 2)
        for tap, values in forward(pixels).items():
            features[tap][rows, view] = values.cpu().numpy()


def _view_spec(backbone: Backbone, count: int, seed: int, augment: str | None) -> ViewSpec:
    evaluate = Transform.parse(backbone.input.evaluate)
    if augment is None:
        square = evaluate.size is not None and evaluate.size[0] == evaluate.size[1]
        if count > 1 and not square:
            raise ConfigError(f"the default augmentation is square, but {evaluate} is not; give --augment")
        side = evaluate.size[0] if evaluate.size else 0
        augment = f"random_resized_crop({side},scale=0.35..1)|flip|jitter(0.2)" if square else str(evaluate)
    return ViewSpec(count, seed, evaluate, Transform.parse(augment))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
