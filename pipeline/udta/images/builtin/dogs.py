"""Stanford Dogs (Khosla et al., FGVC workshop 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_mat
from udta.images.builtin.dataset import Archive, Builtin, Entry

# Not a set of torchvision's. `file_list.mat`, which is in the archive too, has all images without their split.
_LISTS = {"train": "train_list.mat", "test": "test_list.mat"}


def read(base: Path) -> Iterator[Entry]:
    """`file_list` of each list has paths such as `n02085620-Chihuahua/n02085620_10074.jpg`: a WordNet id, then the breed."""
    for split, name in _LISTS.items():
        for path in read_mat(base / name, "file_list").tolist():
            yield Entry(f"Images/{path}", path.partition("/")[0].partition("-")[2], split)


DATASET = Builtin(
    name="dogs",
    title="Stanford Dogs",
    archives=(Archive("images.tar", ("Images",)), Archive("lists.tar", tuple(_LISTS.values()))),
    read=read,
)
