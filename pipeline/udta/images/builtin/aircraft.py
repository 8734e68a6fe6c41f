"""FGVC-Aircraft at the level of variants (Maji et al., arXiv 1306.5151)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_by_torchvision
from udta.images.builtin.dataset import SPLITS, Archive, Builtin, Entry

# Of three levels, variants are the finest, and what papers mean by the 100 classes of this set.
_FOLDER = "fgvc-aircraft-2013b"
_LISTS = ("data/variants.txt", *(f"data/images_variant_{split}.txt" for split in SPLITS))


def read(base: Path) -> Iterator[Entry]:
    """A list for each split, `0787226 Boeing 737-700` in each line, and one of the variants."""
    return (Entry(*found) for found in read_by_torchvision("FGVCAircraft", base, _FOLDER, SPLITS))


DATASET = Builtin(
    name="aircraft",
    title="FGVC-Aircraft",
    archives=(Archive("fgvc-aircraft-2013b.tar.gz", ("data/images", *_LISTS)),),
    read=read,
    folder=_FOLDER,
    folder_is_packed=True,
)
