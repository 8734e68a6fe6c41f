"""What one extraction did, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ExtractReport:
    """Figures of one call of `extract`.

    `rows` are in the store now; of `computed_rows` this call computed anything (the others were there already), and it sent
    `computed_images` views of them through the backbone; `seconds` is the wall time of decoding, forward and writing, without
    start-up; `bytes` is what the store takes on disk; `clipped` counts values of uint8 taps that lay outside their range.
    """

    store: str
    format: str
    rows: int
    computed_rows: int
    computed_images: int
    n_views: int
    seconds: float
    bytes: int
    skipped: Mapping[str, str]
    clipped: Mapping[str, int]
    storage_error: Mapping[str, Any]
    fingerprint: str
    device: str
    compute: str
    dtype: str

    @property
    def images_per_second(self) -> float:
        """Views of images through the backbone per second; 0 when nothing had to be computed."""
        return self.computed_images / self.seconds if self.computed_images else 0.0

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {
            **asdict(self),
            "images_per_second": round(self.images_per_second, 1),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.store}: {self.rows} rows x {self.n_views} view(s), {self.bytes / 1e6:.1f} MB",
            f"computed {self.computed_rows} rows in {self.seconds:.1f} s"
            f" ({self.images_per_second:.0f} images/s, {self.compute} on {self.device})"
            if self.computed_rows
            else "nothing to compute: every block was there already",
        ]
        if self.skipped:
            lines.append(f"skipped {len(self.skipped)} image(s):")
            lines += [f"  {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def stored_bytes(path: Path) -> int:
    """Size of every file below a directory."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
