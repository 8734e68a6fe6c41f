"""What one extraction did, for people and for machines."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from udta._console.terminal import one_line
from udta._machine.memory import peak_memory
from udta.extraction._chosen_taps import TapsReport
from udta.extraction._meter import Meter
from udta.extraction._request import Request
from udta.store import Changes, Store, stored_bytes

# Those that decide how fast an extraction is, and which bits it gives.
_PACKAGES = ("udta", "torch", "torchvision", "numpy", "pillow", "zarr", "h5py")


@dataclass(frozen=True)
class ExtractReport:
    """Figures of one call of `extract`.

    `taps` says which, whose choice they were, and what a view takes. `rows` are in the store now; of `computed_rows` this call
    computed anything (the others were there already), and it sent `computed_images` views of them through the backbone; `seconds`
    is the wall time of reading, decoding, forward and writing, without start-up, `step_seconds` the work of each step, summed
    over threads and processes; `bytes` is what the store takes on disk, `written_bytes` the features that this call wrote;
    `clipped` counts values of uint8 taps that lay outside their range; `storage_error` and `compute_error` are what storage type
    and arithmetic cost, see `calibration`. Of the images in `skipped` those in `skipped_before` were skipped by an earlier run
    and not tried again. `changes` says which images came and went when the store grew, `kept` what it holds beyond what was
    asked. `left_out` counts files among the images that are none, by extension and reason; `notes` are sentences about the
    images. `weights_id` and `weights_revision` say which published weights the backbone has, where they were found by a name:
    `ORG/NAME` and a commit, or an address.
    """

    store: str
    format: str
    taps: TapsReport
    rows: int
    computed_rows: int
    computed_images: int
    n_views: int
    seconds: float
    step_seconds: Mapping[str, float]
    bytes: int
    written_bytes: int
    skipped: Mapping[str, str]
    skipped_before: tuple[str, ...]
    changes: Changes
    kept: tuple[str, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    clipped: Mapping[str, int]
    storage_error: Mapping[str, Any]
    compute_error: Mapping[str, Any]
    fingerprint: str
    device: str
    compute: str
    dtype: str
    workers: int
    weights_id: str | None
    weights_revision: str | None

    @classmethod
    def of(
        cls,
        request: Request,
        store: Store,
        meter: Meter,
        *,
        computed_rows: int,
        was_tried: Callable[[int], bool],
        changes: Changes,
        workers: int,
    ) -> ExtractReport:
        """Figures of a run that has ended.

        Args:
            request: what was asked.
            store: as it is now.
            meter: of the run.
            computed_rows: of which this run computed anything.
            was_tried: whether this run looked at the image of a row.
            changes: of images, where the store grew.
            workers: processes.
        """
        ids = request.manifest.ids
        return cls(
            store=str(store.path),
            format=store.format,
            taps=request.taps_report,
            rows=len(store),
            computed_rows=computed_rows,
            computed_images=meter.images,
            n_views=store.layout.n_views,
            seconds=meter.elapsed,
            step_seconds=meter.seconds,
            bytes=stored_bytes(store.path),
            written_bytes=meter.bytes,
            skipped={ids[row]: reason for row, reason in store.skipped.items()},
            skipped_before=tuple(ids[row] for row in store.skipped if not was_tried(row)),
            changes=changes,
            kept=request.kept,
            left_out=request.manifest.left_out,
            notes=(*request.manifest.notes, *(f"{what} ({n} images)" for what, n in meter.notes.items())),
            clipped=store.clipped,
            storage_error=store.layout.storage_error,
            compute_error=store.layout.compute_error,
            fingerprint=store.fingerprint.digest,
            device=_device_name(request.device),
            compute=request.compute,
            dtype=request.taps[0].dtype,
            workers=workers,
            weights_id=request.backbone.source.get("id"),
            weights_revision=request.backbone.source.get("revision"),
        )

    @property
    def images_per_second(self) -> float:
        """Views of images through the backbone per second; 0 when nothing had to be computed."""
        return self.computed_images / self.seconds if self.computed_images else 0.0

    @property
    def bound_by(self) -> str:
        """The step that took most of the work."""
        return max(self.step_seconds, key=lambda step: self.step_seconds[step])

    def to_json(self) -> dict[str, Any]:
        """Every figure, and what it was measured with."""
        return {
            **asdict(self),
            "images_per_second": round(self.images_per_second, 1),
            "seconds": round(self.seconds, 3),
            "step_seconds": {step: round(seconds, 3) for step, seconds in self.step_seconds.items()},
            "bound_by": self.bound_by,
            "peak_memory_bytes": peak_memory(children=True),
            # A rate without its machine and versions is no figure.
            "machine": machine(),
        }

    def __str__(self) -> str:
        lines = [f"{self.store}: {self.rows} rows x {self.n_views} view(s), {self.bytes / 1e6:.1f} MB"]
        lines += self.taps.lines
        if str(self.changes):
            lines.append(f"images: {self.changes}")
        if self.kept:
            lines.append(f"the store holds more than was asked, and keeps it: {', '.join(self.kept)}")
        if self.computed_rows:
            whole = max(sum(self.step_seconds.values()), 1e-9)
            steps = ", ".join(f"{step} {seconds / whole:.0%}" for step, seconds in self.step_seconds.items())
            processes = f", {self.workers} processes" if self.workers > 1 else ""
            lines += [
                f"computed {self.computed_rows} rows in {self.seconds:.1f} s ({self.images_per_second:.0f} images/s,"
                f" {self.written_bytes / max(self.seconds, 1e-9) / 1e6:.1f} MB/s; {self.compute} on {self.device}{processes})",
                f"work: {steps}; peak memory {peak_memory(children=True) / 1e6:.0f} MB",
            ]
        else:
            lines.append("nothing to compute: every block was there already")
        if self.weights_id:
            lines.append(f"weights: {self.weights_id} at {self.weights_revision}")
        if self.compute_error:
            errors = ", ".join(f"{tap} {value:.2g}" for tap, value in self.compute_error["relative_rmse"].items())
            lines.append(f"{self.compute} against float32: relative error {errors}")
        lines += [f"note: {note}" for note in self.notes]
        before = set(self.skipped_before)
        lines += self._skipped("skipped {} image(s):", [name for name in self.skipped if name not in before])
        lines += self._skipped(
            "{} image(s) were skipped by an earlier run; --retry-skipped tries them again:", self.skipped_before
        )
        return "\n".join(lines)

    def _skipped(self, head: str, names: Sequence[str]) -> list[str]:
        return (
            [head.format(len(names)), *(f"  {one_line(name)}: {self.skipped[name]}" for name in names)] if names else []
        )


def machine() -> dict[str, Any]:
    """Versions and hardware that a rate depends on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **{name: version(name) for name in _PACKAGES},
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
