"""FGVC-Aircraft at the level of variants (Maji et al., arXiv 1306.5151)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_pairs
from udta.images.builtin.dataset import SPLITS, Archive, Builtin, Entry


def read(base: Path) -> Iterator[Entry]:
    """A list for each split, `0787226 Boeing 737-700` in each line."""
    for split in SPLITS:
        for number, variant in read_pairs(base / f"data/images_variant_{split}.txt").items():
            yield Entry(f"data/images/{number}.jpg", variant, split)


DATASET = Builtin(
    name="aircraft",
    title="FGVC-Aircraft",
    archives=(
        Archive(
            "fgvc-aircraft-2013b.tar.gz", ("data/images", *(f"data/images_variant_{split}.txt" for split in SPLITS))
        ),
    ),
    read=read,
    folder="fgvc-aircraft-2013b",
    folder_is_packed=True,
)
