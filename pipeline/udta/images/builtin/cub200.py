"""CUB-200-2011 (Wah et al., Caltech CNS-TR-2011-001)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_pairs
from udta.images.builtin.dataset import Archive, Builtin, Entry

# Not a set of torchvision's.
_FILES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
_SPLITS = {"1": "train", "0": "test"}


def read(base: Path) -> Iterator[Entry]:
    """Three files give path, class number and split by image number; the fourth `001.Black_footed_Albatross` by class number."""
    path_of, class_of, flag_of, name_of = (read_pairs(base / file) for file in _FILES)
    if not path_of.keys() == class_of.keys() == flag_of.keys():
        raise ValueError(f"{', '.join(_FILES[:3])} do not list the same images")
    for number, path in path_of.items():
        name = name_of[class_of[number]].partition(".")[2]
        yield Entry(f"images/{path}", name, _SPLITS[flag_of[number]])


DATASET = Builtin(
    name="cub200",
    title="CUB-200-2011",
    archives=(Archive("CUB_200_2011.tgz", ("images", *_FILES)),),
    read=read,
    folder="CUB_200_2011",
    folder_is_packed=True,
)
