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
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def check_room(path: Path, layout: Layout, n_blocks: int) -> None:
    """Raises `StoreError` when that many blocks cannot fit; with a codec they may take less, so then it is not checked."""
    needed, free = n_blocks * block_bytes(layout), free_bytes(path)
    if n_blocks and layout.codec == "none" and needed + _SPARE_BYTES > free:
        raise StoreError(
            f"{path} needs {needed / 1e9:.2f} GB, but its disk has {free / 1e9:.2f} GB free; free some, choose another --out, or "
            "store less (fewer --views or --taps, smaller grids, --dtype uint8)"
        )
