"""The extraction: images in, a complete store and a report out."""

from __future__ import annotations

from pathlib import Path

from udta._machine.memory import freed_memory_kept
from udta._machine.process_state import left_as_found
from udta.backbones import Backbone
from udta.extraction.counter import Progress
from udta.extraction.disk_space import check_room
from udta.extraction.job import Job
from udta.extraction.options import PREFETCH, ExtractOptions
from udta.extraction.report import ExtractReport
from udta.extraction.request import make_request
from udta.images import Decoder, Manifest, OnError
from udta.store import IfStale


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
    prune: bool = False,
    retry_skipped: bool = False,
    workers: int | None = None,
    prefetch: int = PREFETCH,
    allow_impure: bool = False,
    progress: Progress | None = None,
) -> ExtractReport:
    """Compute the features of every image and view that the store at `out` does not hold yet.

    A store that is there is continued where it stopped. It grows where more is asked than it has: other images (by content),
    another tap, more views; then exactly what is missing is computed, and the grown store takes the old one's place when it
    is complete. What it holds beyond what is asked, taps and views, stays; rows of images that are not asked for any more are
    removed only with `prune`.

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
        if_stale: `refuse` a store at `out` that was made from something else, or `replace` it, also where it holds more taps or
            views.
        prune: remove rows of images that are not asked for any more; refused by default, for they may be on a disk that is not
            mounted.
        retry_skipped: try images again that an earlier run skipped, as `on_error="fail"` always does.
        workers: processes; one by default, or one for each GPU where there are several. A store that grows is written by one.
        prefetch: batches that are decoded ahead of the backbone.
        allow_impure: extract a backbone that gives something else from pass to pass or with the other images of a batch, such as
            one with `F.dropout` in its forward. The store says so, and the features cannot be computed again.
        progress: called after every batch.

    Raises:
        ConfigError: wrong options; every problem is listed.
        DataError: images, manifest or splits that cannot be used. ImageError: one image, with `on_error="fail"`.
        BackboneError: a backbone or weights that cannot be used; a backbone that is no function of one image.
        StaleStoreError, NotAStoreError, StoreBusyError, StoreError: what is at `out`, see `StoreWriter`; no room on the disk.
        FeatureError: the backbone produced NaN or infinite values.
    """
    # The arguments, before there is any other local name.
    options = ExtractOptions.among(locals())
    with freed_memory_kept(device), left_as_found():
        request = make_request(images, **options)
        with Job(request) as job:
            check_room(job.room)
            return job.run(progress)
