"""Three stores of the same images, together and one by one, for tests."""

from test_killed_command import tree

import udta

COMMON = {"taps": "stage1=grid(4),stage2=avg", "views": 3, "compute": "float32", "dtype": "float32"}
# The second sees other pixels than the first, in views that are made by the same transform; the third is the first in float16.
STORES = [
    {"backbone": "toy:net", "out": "a"},
    {"backbone": "toy:net?width=9", "out": "b", "transform": "resize(20)|centre_crop(16)"},
    {"backbone": "toy:net?width=5", "out": "c", "taps": "stage2", "views": 2},
]


def stores_in(folder, stores=STORES):
    return [{**store, "out": folder / store["out"]} for store in stores]


def many(images, folder, stores=STORES, **options):
    return udta.extract_many(images, stores_in(folder, stores), **{**COMMON, **options})


def one_by_one(images, folder, stores=STORES, **options):
    return [udta.extract(images, **{**COMMON, **options, **store}) for store in stores_in(folder, stores)]


def assert_alike(folder, other, stores=STORES):
    for store in stores:
        assert tree(folder / store["out"]) == tree(other / store["out"]), store
