"""What an extraction would do, before it does anything: rows, bytes, time, room. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from udta.backbones import TapForward
from udta.data import Manifest
from udta.errors import NotAStoreError
from udta.extraction.computing import Computer
from udta.extraction.pipeline import decoded_batches
from udta.extraction.room import block_bytes, free_bytes
from udta.extraction.setup import Setup, set_up
from udta.extraction.setups import set_up_many, split_options
from udta.store import BATCH_ROWS, Part, engine_at, row_bytes, standing
from udta.store.place import is_vacant

# Images of the calibration after one batch that is not counted: about two seconds of MobileNetV2 on two cores.
_CALIBRATION_BATCHES = 3


@dataclass(frozen=True)
class Plan:
    """What `extract` with the same options would do.

    `state` is `new`, `complete`, `unfinished`, `grows` or `refused` (then `differences` says why). `bytes` is the whole store
    when it is done, `bytes_by_tap` its parts; `compute_images` are views of rows that go through the backbone, at the rate
    that a short calibration measured; `free_bytes` is what the disk has, `write_bytes` what is written to it at most.
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
            f"there already: {self.committed_blocks} of {self.blocks} blocks ({self.state})",
            f"to compute: {self.compute_images} images of {self.compute_rows} rows, about {_duration(self.seconds)}"
            f" ({self.images_per_second:.0f} images/s measured, {self.compute} on {self.device})",
            f"to write: {self.write_bytes / 1e6:.1f} MB, free: {self.free_bytes / 1e6:.0f} MB"
            f"{'' if self.fits else ' - NOT ENOUGH'}",
        ]
        return "\n".join([*lines, *(f"refused: {line}" for line in self.differences)])


def plan(images: str | Path | Manifest, *, out: str | Path, format: str | None = None, **options: Any) -> Plan:  # noqa: A002
    """Look at images, backbone and store as `extract` would, time a few batches, and write nothing.

    Args:
        images: as `extract` takes it.
        out: the store.
        format: of the store.
        **options: everything else that `extract` takes.

    Raises:
        ConfigError, DataError, BackboneError, NotAStoreError: as `extract` would.
    """
    return _plan(set_up(images, format=format, **options), Path(out), format)


def plan_many(images: str | Path | Manifest, stores: Sequence[Mapping[str, Any]], **options: Any) -> list[Plan]:
    """`plan` for each of the stores that `extract_many` with the same arguments would write."""
    own, how = split_options(options)
    wanted = [{**own, **store} for store in stores]
    setups = set_up_many(images, wanted, **how)
    return [_plan(setup, Path(store["out"]), store.get("format")) for setup, store in zip(setups, wanted, strict=True)]


def _plan(setup: Setup, path: Path, format: str | None) -> Plan:  # noqa: A002
    layout, state, committed, differences = setup.layout, "new", 0, []
    parts = _everything(setup)
    missing = layout.n_blocks
    engine = engine_at(path)
    if engine is None and not is_vacant(path):
        raise NotAStoreError(f"{path} exists and is not a udta store; choose another --out")
    if engine is not None:
        samples = tuple(zip(layout.ids, setup.manifest.hashes, strict=True))
        found = standing(engine, layout, samples, format)
        layout, differences = found.asked, found.differences
        if differences:
            state, parts, missing = "refused", [], 0
        elif found.old is not None:
            state = "grows"
            unchanged = [block for block in range(layout.n_blocks) if found.old.unchanged_block(block)]
            committed, missing = len(unchanged), layout.n_blocks - len(unchanged)
            parts = [part for block in range(layout.n_blocks) for part in found.old.missing(block)]
        else:
            committed, missing = len(found.records), layout.n_blocks - len(found.records)
            state = "complete" if not missing else "unfinished"
            parts = [part for part in parts if part.rows[0] // layout.block_rows not in found.records]
    rate = _images_per_second(setup, parts)
    compute_images = sum(len(part.rows) * len(part.views) for part in parts)
    by_tap = {tap.name: layout.n_blocks * layout.block_rows * layout.n_views * row_bytes(tap) for tap in setup.taps}
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
        device=str(setup.device),
        compute=setup.compute,
        differences=tuple(differences),
    )


def _everything(setup: Setup) -> list[Part]:
    views, taps = tuple(range(setup.layout.n_views)), tuple(setup.layout.taps)
    return [Part(np.arange(*setup.layout.block_range(block)), views, taps) for block in range(setup.layout.n_blocks)]


def _images_per_second(setup: Setup, parts: list[Part]) -> float:
    """Decoding and forward at the same time, as the extraction runs them; 0 when there is nothing to compute."""
    if not parts:
        return 0.0
    rows, views = np.concatenate([part.rows for part in parts]).tolist(), parts[0].views
    chosen = rows[: BATCH_ROWS * (1 + _CALIBRATION_BATCHES)]
    batches = [chosen[start : start + BATCH_ROWS] for start in range(0, len(chosen), BATCH_ROWS)]
    forward = TapForward(setup.backbone, setup.taps, setup.compute, setup.device)
    taps = tuple(replace(tap, dtype="float32") if tap.dtype == "uint8" else tap for tap in setup.taps)
    computer = Computer(forward, taps, {}, setup.manifest.ids)
    started, images = time.perf_counter(), 0
    decoded = decoded_batches(setup.manifest, setup.views, views, batches, "skip", device=setup.device)
    for number, batch in enumerate(computer.batches(decoded)):
        images += len(batch) * len(views)
        if number == 0 and len(batches) > 1:
            started, images = time.perf_counter(), 0
    return images / max(time.perf_counter() - started, 1e-9)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
