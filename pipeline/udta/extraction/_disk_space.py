"""Whether the disk can hold what is about to be computed."""

from __future__ import annotations

import shutil
from pathlib import Path

from udta.errors import StoreError
from udta.store import Layout, row_bytes

# Ledger, metadata and whatever else the file system wants for itself.
_SPARE_BYTES = 16 * 2**20


def block_bytes(layout: Layout) -> int:
    """What one whole block takes on the disk, without compression."""
    return layout.block_rows * layout.n_views * sum(row_bytes(tap) for tap in layout.taps.values())


def free_bytes(path: Path) -> int:
    """Free space of the file system that `path` is or will be on."""
    # `plan` asks before there is a store or even its parent folder.
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def check_disk_space(*stores: tuple[Path, Layout, int]) -> None:
    """Raises `StoreError` when so many blocks of all stores cannot fit; with a codec they may take less and do not count."""
    disks: dict[int, dict[Path, int]] = {}
    # By file system: stores that are extracted together may share one, and each alone would fit.
    for path, layout, n_blocks in stores:
        if n_blocks and layout.codec == "none":
            disks.setdefault(path.stat().st_dev, {})[path] = n_blocks * block_bytes(layout)
    for needs in disks.values():
        needed, free = sum(needs.values()), free_bytes(next(iter(needs)))
        if needed + _SPARE_BYTES > free:
            raise StoreError(
                f"{' with '.join(map(str, needs))} needs {needed / 1e9:.2f} GB, but the disk has {free / 1e9:.2f} GB free; free "
                "some, choose another --out, or store less (fewer --views or --taps, smaller grids, --dtype uint8)"
            )
