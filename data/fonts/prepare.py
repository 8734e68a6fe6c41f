"""Which of 16 fonts is it? Letters in training and test are different ones, so the shape of a letter does not give it away."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from data.folder import write_folder
from data.letters.render import DEJAVU, STIX, render

SEED = 0
FONTS = (*DEJAVU[0:2], *DEJAVU[4:6], *DEJAVU[8:12], *STIX, "cmr10", "cmss10", "cmti10", "cmtt10")
# Every other letter trains, the others test; each half has capitals and small letters.
TRAIN_LETTERS = string.ascii_letters[0::2]
TEST_LETTERS = string.ascii_letters[1::2]
N_TRAIN, N_TEST = 1008, 608


def prepare(root: Path) -> None:
    """Write `root/<font>/<split>-<number>.png` and `splits-1000.csv`."""
    rng = np.random.default_rng(SEED)
    images, splits = [], {}
    for split, letters, count in (("train", TRAIN_LETTERS, N_TRAIN), ("test", TEST_LETTERS, N_TEST)):
        for index in range(count):
            font, letter = FONTS[index % len(FONTS)], letters[index // len(FONTS) % len(letters)]
            path = f"{font}/{split}-{index:04d}.png"
            images.append((path, render(letter, font, rng)))
            splits[path] = split
    write_folder(root, images, {"splits-1000": splits})
