"""Food-101 (Bossard et al., ECCV 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_lines
from udta.images.builtin.dataset import Archive, Builtin, Entry

# Read here, not by torchvision: it takes `meta/train.json`, grouped by class, where rows have the order of `train.txt`.
_LISTS = {"train": "meta/train.txt", "test": "meta/test.txt"}


def read(base: Path) -> Iterator[Entry]:
    """A list for each split, `apple_pie/1005649` in each line."""
    for split, file in _LISTS.items():
        for name in read_lines(base / file):
            yield Entry(f"images/{name}.jpg", name.partition("/")[0], split)


DATASET = Builtin(
    name="food101",
    title="Food-101",
    archives=(Archive("food-101.tar.gz", ("images", *_LISTS.values())),),
    read=read,
    folder="food-101",
    folder_is_packed=True,
)
