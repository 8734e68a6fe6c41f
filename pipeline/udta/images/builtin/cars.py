"""Stanford Cars (Krause et al., 3dRR 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from udta.images.builtin.annotations import read_by_torchvision, require_scipy
from udta.images.builtin.dataset import Archive, Builtin, Entry

_FOLDER = "stanford_cars"
# The devkit's own list of test images has no classes; they were published apart.
_TEST_LIST = "cars_test_annos_withlabels.mat"


def read(base: Path) -> Iterator[Entry]:
    """The lists are struct arrays with fields `fname` and `class`, a number from 1 into `class_names` of `cars_meta.mat`."""
    require_scipy(base / _TEST_LIST)  # torchvision needs it too, and says so in other words
    return (Entry(*found) for found in read_by_torchvision("StanfordCars", base, _FOLDER, ("train", "test")))


DATASET = Builtin(
    name="cars",
    title="Stanford Cars",
    archives=(
        Archive("cars_train.tgz", ("cars_train",)),
        Archive("cars_test.tgz", ("cars_test",)),
        Archive("car_devkit.tgz", ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat")),
        Archive(_TEST_LIST, (_TEST_LIST,)),
    ),
    read=read,
    folder=_FOLDER,
)
