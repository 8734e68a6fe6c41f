"""What an extraction would do, before it does anything: rows, bytes, time, room. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from udta._files.paths import local_path
from udta.backbones import TapForward
from udta.errors import NotAStoreError
from udta.extraction.compute import Computer
from udta.extraction.decode.batches import decoded_batches
from udta.extraction.disk_space import block_bytes, free_bytes
from udta.extraction.job import JobOptions
from udta.extraction.kept import with_what_is_kept
from udta.extraction.request import Request, make_request
from udta.extraction.requests import make_requests, split_options
from udta.images import Manifest, OnError
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

    `state` is `new`, `complete`, `unfinished`, `grows`, `replaced` or `refused` (then `differences` says why). `bytes` is the
    whole store when it is done, `bytes_by_tap` its parts; `compute_images` are views of rows that go through the backbone, at
    the rate that a short calibration measured; `free_bytes` is what the disk has, `write_bytes` what is written to it at most.
    `changes` says which images come and go, `kept` what the store holds beyond what was asked, `left_out` counts files among the
    images that are none, by extension and reason; `notes` are sentences about the images.
    """

    out: str
    state: str
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
    out: str | Path,
    format: str | None = None,  # noqa: A002  # the word that users type
    on_error: OnError = "fail",
    if_stale: IfStale = "refuse",
    prune: bool = False,
    retry_skipped: bool = False,
    **options: Any,
) -> Plan:
    """Look at images, backbone and store as `extract` would, time a few batches, and write nothing.

    Args:
        images: as `extract` takes it, as all that follow.
        out: the store.
        format: of the store.
        on_error: what an image that cannot be used does.
        if_stale: what to do with a store that was made from something else.
        prune: remove rows of images that are not asked for any more.
        retry_skipped: try images again that an earlier run skipped.
        **options: everything else that `extract` takes.

    Raises:
        ConfigError, DataError, BackboneError, NotAStoreError: as `extract` would.
    """
    place = local_path("out", out)
    request = make_request(images, format=format, on_error=on_error, **options)
    policy = JobOptions(on_error, if_stale, format, prune=prune, retry_skipped=retry_skipped)
    return _plan(request, place, policy)


def plan_many(
    images: str | Path | Manifest,
    stores: Sequence[Mapping[str, Any]],
    *,
    on_error: OnError = "fail",
    prune: bool = False,
    retry_skipped: bool = False,
    **options: Any,
) -> list[Plan]:
    """`plan` for each of the stores that `extract_many` with the same arguments would write."""
    own, how = split_options(options)
    wanted = [{**own, **store} for store in stores]
    plans = []
    for request, store in zip(make_requests(images, wanted, on_error=on_error, **how), wanted, strict=True):
        stale, kind = store.get("if_stale", "refuse"), store.get("format")
        policy = JobOptions(on_error, stale, kind, prune=prune, retry_skipped=retry_skipped)
        plans.append(_plan(request, Path(store["out"]), policy))
    return plans


def _plan(request: Request, path: Path, policy: JobOptions) -> Plan:
    request = with_what_is_kept(request, path) if policy.if_stale == "refuse" else request
    layout, state, committed, differences, changes = request.layout, "new", 0, list[str](), Changes(0)
    parts = _everything(layout)
    missing = layout.n_blocks
    engine = engine_at(path)
    if engine is None and not is_absent_or_empty(path):
        raise NotAStoreError(f"{path} exists and is not a udta store; choose another --out")
    if engine is not None:
        samples, retry = tuple(zip(layout.ids, request.manifest.hashes, strict=True)), policy.retries
        found = compare_with_stored(engine, layout, samples, policy.format, retry_skipped=retry)
        differences, changes = found.differences, found.changes
        if differences and policy.if_stale == "replace":
            state, differences = "replaced", []
        elif differences or (changes.removed and not policy.prune):
            state, parts, missing, differences = "refused", [], 0, differences or changes.refusal()
        elif found.old is not None:
            layout, state = found.asked, "grows"
            unchanged = [block for block in range(layout.n_blocks) if found.old.unchanged_block(block)]
            committed, missing = len(unchanged), layout.n_blocks - len(unchanged)
            parts = [part for block in range(layout.n_blocks) for part in found.old.missing(block)]
        else:
            layout = found.asked
            committed, missing = len(found.records), layout.n_blocks - len(found.records)
            state = "complete" if not missing else "unfinished"
            parts = [part for part in _everything(layout) if part.rows[0] // layout.block_rows not in found.records]
    rate = _images_per_second(request, parts)
    compute_images = sum(len(part.rows) * len(part.views) for part in parts)
    by_tap = {tap.name: layout.n_blocks * layout.block_rows * layout.n_views * row_bytes(tap) for tap in request.taps}
    return Plan(
        out=str(path),
        state=state,
        rows=len(layout),
        views=layout.n_views,
        blocks=layout.n_blocks,
        committed_blocks=committed,
        bytes=sum(by_tap.values()),
        bytes_by_tap=by_tap,
        write_bytes=missing * block_bytes(layout),
        free_bytes=free_bytes(path),
        compute_rows=len(np.unique(np.concatenate([part.rows for part in parts]))) if parts else 0,
        compute_images=compute_images,
        images_per_second=round(rate, 1),
        seconds=compute_images / rate if compute_images else 0.0,
        device=str(request.device),
        compute=request.compute,
        changes=changes,
        kept=request.kept,
        left_out=request.manifest.left_out,
        notes=request.manifest.notes,
        differences=tuple(differences),
    )


def _everything(layout: Layout) -> list[Part]:
    views, taps = tuple(range(layout.n_views)), tuple(layout.taps)
    return [Part(np.arange(*layout.block_range(block)), views, taps) for block in range(layout.n_blocks)]


def _images_per_second(request: Request, parts: list[Part]) -> float:
    """Decoding and forward at the same time, as the extraction runs them; 0 when there is nothing to compute."""
    if not parts:
        return 0.0
    rows, views = np.concatenate([part.rows for part in parts]).tolist(), parts[0].views
    chosen = rows[: BATCH_ROWS * (1 + _CALIBRATION_BATCHES)]
    batches = [chosen[start : start + BATCH_ROWS] for start in range(0, len(chosen), BATCH_ROWS)]
    forward = TapForward(
        request.backbone, request.taps, request.compute, request.device, memory_format=request.layout.memory_format
    )
    taps = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in request.taps)
    computer = Computer(forward, taps, {}, request.manifest.ids)
    started, images = time.perf_counter(), 0
    decoded = decoded_batches(request.manifest, request.views, views, batches, "skip", device=request.device)
    for number, batch in enumerate(computer.batches(decoded)):
        images += len(batch) * len(views)
        if number == 0 and len(batches) > 1:
            started, images = time.perf_counter(), 0
    return images / max(time.perf_counter() - started, 1e-9)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
