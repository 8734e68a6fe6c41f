"""Oxford-IIIT Pet at the level of breeds (Parkhi et al., CVPR 2012)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_pairs
from udta.images.builtin.dataset import Archive, Builtin, Entry

# Read here, not by torchvision: its class for this set has no `loader`, so that only private attributes have paths, and it spells
# `american_bulldog` as `American Bulldog`.
_LISTS = {"train": "annotations/trainval.txt", "test": "annotations/test.txt"}


def read(base: Path) -> Iterator[Entry]:
    """A list for each split, `american_bulldog_100 2 2 1` in each line: the breed is in the name."""
    for split, file in _LISTS.items():
        for name in read_pairs(base / file):
            yield Entry(f"images/{name}.jpg", name.rpartition("_")[0], split)


DATASET = Builtin(
    name="pets",
    title="Oxford-IIIT Pet",
    archives=(Archive("images.tar.gz", ("images",)), Archive("annotations.tar.gz", tuple(_LISTS.values()))),
    read=read,
    folder="oxford-iiit-pet",
)
