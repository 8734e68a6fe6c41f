"""Stanford Cars (Krause et al., 3dRR 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_mat
from udta.images.builtin.dataset import Archive, Builtin, Entry

# The devkit's own list of test images has no classes; they were published apart.
_TEST_LIST = "cars_test_annos_withlabels.mat"
_LISTS = {"train": "devkit/cars_train_annos.mat", "test": _TEST_LIST}


def read(base: Path) -> Iterator[Entry]:
    """The lists are struct arrays with fields `fname` and `class`, a number from 1 into `class_names` of `cars_meta.mat`."""
    name_of = dict(enumerate(read_mat(base / "devkit/cars_meta.mat", "class_names").tolist(), start=1))
    for split, path in _LISTS.items():
        records = read_mat(base / path, "annotations")
        for file, number in zip(records["fname"].tolist(), records["class"].tolist(), strict=True):
            yield Entry(f"cars_{split}/{file}", name_of[number], split)


DATASET = Builtin(
    name="cars",
    title="Stanford Cars",
    archives=(
        Archive("cars_train.tgz", ("cars_train",)),
        Archive("cars_test.tgz", ("cars_test",)),
        Archive("car_devkit.tgz", ("devkit/cars_meta.mat", _LISTS["train"])),
        Archive(_TEST_LIST, (_TEST_LIST,)),
    ),
    read=read,
    folder="stanford_cars",
)
