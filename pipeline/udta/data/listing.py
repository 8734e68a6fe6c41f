"""What a reader finds before contents are hashed: names, class names and splits, in row order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from udta.data.decode import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Listing:
    """One entry for each image: its id relative to `root`, its class name ('' where unknown), its split if it has one.

    `split_rule` says where given splits come from.
    """

    root: Path
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...] | None = None
    split_rule: str = "column"


def relative_id(root: Path, path: str) -> str:
    """The one spelling of a path that is absolute or relative to `root`: relative, `/` between parts, no `.`."""
    return Path(os.path.relpath(root / path, root)).as_posix()


def is_image_name(name: str) -> bool:
    """Whether the extension is one of an image, in capitals or not; what the file holds is found out by decoding it."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES
