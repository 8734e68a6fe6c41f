"""What an extraction would do, before it does anything: rows, bytes, time, free disk. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from udta.backbones import Backbone
from udta.errors import NotAStoreError
from udta.extraction._chosen_taps import TapsReport
from udta.extraction._disk_space import block_bytes, free_bytes
from udta.extraction._job import feature_batches
from udta.extraction._request import Request, make_request, make_requests
from udta.extraction._work import FeatureSource
from udta.extraction.options import PREFETCH, ExtractOptions
from udta.images import Decoder, Manifest, OnError
from udta.store import (
    BATCH_ROWS,
    Changes,
    IfStale,
    Layout,
    Part,
    compare_with_stored,
    engine_at,
    is_absent_or_empty,
    row_bytes,
)

# Images of the calibration after one batch that is not counted: about two seconds of MobileNetV2 on two cores.
_CALIBRATION_BATCHES = 3


@dataclass(frozen=True)
class Plan:
    """What `extract` with the same options would do.

    `state` is `new`, `complete`, `unfinished`, `grows`, `replaced` or `refused` (then `differences` says why). `taps` says which,
    whose choice they are, and what a view takes. `bytes` is the whole store when it is done, `bytes_by_tap` its parts;
    `compute_images` are views of rows that go through the backbone, at the rate that a short calibration measured; `free_bytes`
    is what the disk has, `write_bytes` what is written to it at most. `changes` says which images come and go, `kept` what the
    store holds beyond what was asked, `left_out` counts files among the images that are none, by extension and reason; `notes`
    are sentences about the images.
    """

    out: str
    state: str
    taps: TapsReport
    rows: int
    views: int
    blocks: int
    committed_blocks: int
    bytes: int
    bytes_by_tap: Mapping[str, int]
    write_bytes: int
    free_bytes: int
    compute_rows: int
    compute_images: int
    images_per_second: float
    seconds: float
    device: str
    compute: str
    changes: Changes
    kept: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the disk can hold it."""
        return self.write_bytes <= self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {**asdict(self), "fits": self.fits}

    def __str__(self) -> str:
        per_tap = [f"  {tap:32} {size / 1e6:12.1f} MB" for tap, size in self.bytes_by_tap.items()]
        lines = [
            f"{self.out}: {self.rows} rows x {self.views} view(s) in {self.blocks} blocks, {self.bytes / 1e6:.1f} MB",
            *self.taps.lines,
            *per_tap,
            *([f"images: {self.changes}"] if str(self.changes) else []),
            *([f"the store holds more than was asked, and keeps it: {', '.join(self.kept)}"] if self.kept else []),
            f"there already: {self.committed_blocks} of {self.blocks} blocks ({self.state})",
            f"to compute: {self.compute_images} images of {self.compute_rows} rows, about {_duration(self.seconds)}"
            f" ({self.images_per_second:.0f} images/s measured, {self.compute} on {self.device})",
            f"to write: {self.write_bytes / 1e6:.1f} MB, free: {self.free_bytes / 1e6:.0f} MB"
            f"{'' if self.fits else ' - NOT ENOUGH'}",
        ]
        return "\n".join([*lines, *(f"refused: {line}" for line in self.differences)])


def plan(
    images: str | Path | Manifest,
    *,
    backbone: str | Backbone,
    out: str | Path,
    weights: str | None = None,
    taps: str | None = None,
    budget: int | str | None = None,
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
    window: str = "auto",
    decoder: Decoder = "pillow",
    if_stale: IfStale = "refuse",
    prune: bool = False,
    retry_skipped: bool = False,
    workers: int | None = None,
    prefetch: int = PREFETCH,
    allow_impure: bool = False,
) -> Plan:
    """Look at images, backbone and store as `extract` would, time a few batches, and write nothing.

    Args:
        images: as of `extract`.
        backbone: a name, or a `Backbone` that is built already.
        out: the store.
        weights: where its weights are; see `extract`, as for all that follows.
        taps: what is kept, such as `features.6,features.13=grid(14)`.
        budget: bytes of one view of an image that recommended taps may take.
        views: versions of each image, of which view 0 is the evaluation transform.
        dtype: how features are stored.
        codec: lossless compression.
        format: `zarr` or `hdf5`.
        splits: a CSV `path,split`.
        compute: arithmetic of the backbone.
        device: where the backbone runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_error: `fail` at the first image that cannot be used, or `skip` it.
        seed: of the views and of the split rule.
        transform: replaces the backbone's evaluation transform.
        augment: the transform of views 1 and up.
        window: which values become black and white in images of more than 8 bits.
        decoder: `pillow` or `nvjpeg`.
        if_stale: `refuse` what was made from something else, or `replace` it.
        prune: remove rows of images that are not asked for any more.
        retry_skipped: try images again that an earlier run skipped.
        workers: processes.
        prefetch: batches that are decoded ahead of each backbone.
        allow_impure: extract a backbone that is no function of one image.

    Returns:
        What there is already, what would be computed and written, and how long that would take.

    Raises:
        ConfigError, DataError, BackboneError, NotAStoreError: as `extract` would.

    Example:
        >>> udta.plan("photos", backbone="resnet18", out="new.zarr").state
        'new'
    """
    # The arguments, before there is any other local name.
    options = ExtractOptions.among(locals())
    return _plan(make_request(images, **options))


def plan_many(images: str | Path | Manifest, stores: Sequence[Mapping[str, Any]], **common: Any) -> list[Plan]:
    """`plan` for each of the stores that `extract_many` with the same arguments would write."""
    return [_plan(request) for request in make_requests(images, stores, **common)]


_NO_CHANGES = Changes(0)


@dataclass(frozen=True)
class _Found:
    """What is where the store shall lie, and what an extraction would do: `layout` is that of the store when it is done."""

    state: str
    layout: Layout
    missing_blocks: int
    parts: Sequence[Part]
    differences: Sequence[str] = ()
    changes: Changes = _NO_CHANGES


def _plan(request: Request) -> Plan:
    target, found = request.options.out, _found(request)
    layout, parts = found.layout, found.parts
    rate = _images_per_second(request, parts)
    compute_images = sum(len(part.rows) * len(part.views) for part in parts)
    # Whole blocks: the last one of a store is as long on the disk as the others.
    by_tap = {tap.name: layout.n_blocks * layout.block_rows * layout.n_views * row_bytes(tap) for tap in request.taps}
    # Of a store that is refused, no block counts as there: nothing of it would be used.
    refused = found.state == "refused"
    return Plan(
        out=str(target),
        state=found.state,
        taps=request.taps_report,
        rows=len(layout),
        views=layout.n_views,
        blocks=layout.n_blocks,
        committed_blocks=0 if refused else layout.n_blocks - found.missing_blocks,
        bytes=sum(by_tap.values()),
        bytes_by_tap=by_tap,
        write_bytes=found.missing_blocks * block_bytes(layout),
        free_bytes=free_bytes(target),
        # A row that lacks taps and views is in two parts, and one row.
        compute_rows=len(np.unique(np.concatenate([part.rows for part in parts]))) if parts else 0,
        compute_images=compute_images,
        images_per_second=round(rate, 1),
        seconds=compute_images / rate if compute_images else 0.0,
        device=str(request.device),
        compute=request.compute,
        changes=found.changes,
        kept=request.kept,
        left_out=request.manifest.left_out,
        notes=request.manifest.notes,
        differences=tuple(found.differences),
    )


def _found(request: Request) -> _Found:
    """As a writer would decide, but without its lock: another one may be at work. Raises `NotAStoreError`."""
    options, layout = request.options, request.layout
    everything = _everything(layout)
    engine = engine_at(options.out)
    if engine is None:
        if not is_absent_or_empty(options.out):
            raise NotAStoreError(f"{options.out} exists and is not a udta store; choose another --out")
        return _Found("new", layout, layout.n_blocks, everything)
    samples = tuple(zip(layout.ids, request.manifest.hashes, strict=True))
    found = compare_with_stored(engine, layout, samples, options.format, retry_skipped=options.retries)
    changes = found.changes
    # What was made from something else first: what it has in common with the request is of no use then.
    if found.differences and options.if_stale == "replace":
        return _Found("replaced", layout, layout.n_blocks, everything, changes=changes)
    if found.differences or (changes.removed and not options.prune):
        return _Found("refused", layout, 0, [], found.differences or changes.refusal(), changes)
    layout = found.asked
    # A store that grows is written anew beside the old one, and takes over the blocks that are as they were.
    if (old := found.old) is not None:
        missing = [block for block in range(layout.n_blocks) if not old.unchanged_block(block)]
        parts = [part for block in range(layout.n_blocks) for part in old.missing(block)]
        return _Found("grows", layout, len(missing), parts, changes=changes)
    parts = [part for part in _everything(layout) if part.rows[0] // layout.block_rows not in found.records]
    return _Found("unfinished" if parts else "complete", layout, len(parts), parts, changes=changes)


def _everything(layout: Layout) -> list[Part]:
    views, taps = tuple(range(layout.n_views)), tuple(layout.taps)
    return [Part(np.arange(*layout.block_range(block)), views, taps) for block in range(layout.n_blocks)]


def _images_per_second(request: Request, parts: Sequence[Part]) -> float:
    """Decoding and forward at the same time, as the extraction runs them; 0 when there is nothing to compute."""
    if not parts:
        return 0.0
    rows, views = np.concatenate([part.rows for part in parts]).tolist(), parts[0].views
    chosen = rows[: BATCH_ROWS * (1 + _CALIBRATION_BATCHES)]
    taps = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in request.taps)
    source = replace(FeatureSource.of(request, taps), on_error="skip")
    started, images = time.perf_counter(), 0
    for number, batch in enumerate(feature_batches(source, chosen, views)):
        images += len(batch) * len(views)
        if number == 0 and len(chosen) > BATCH_ROWS:
            started, images = time.perf_counter(), 0
    return images / max(time.perf_counter() - started, 1e-9)


def _duration(seconds: float) -> str:
    # Rounded to what a guess from a few batches is good for.
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
