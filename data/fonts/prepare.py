"""Which of 16 fonts is it? Any letter, any jitter: just what the backbone has learned to look past."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from data.folder import write_folder
from data.letters.render import DEJAVU, STIX, render

SEED = 0
FONTS = (*DEJAVU[0:2], *DEJAVU[4:6], *DEJAVU[8:12], *STIX, "cmr10", "cmss10", "cmti10", "cmtt10")
N_TRAIN, N_TEST = 1008, 608


def prepare(root: Path) -> None:
    """Write `root/<font>/<split>-<number>.png` and `splits-1000.csv`."""
    rng = np.random.default_rng(SEED)
    images, splits = [], {}
    for split, count in (("train", N_TRAIN), ("test", N_TEST)):
        for index in range(count):
            font, letter = FONTS[index % len(FONTS)], str(rng.choice(list(string.ascii_letters)))
            path = f"{font}/{split}-{index:04d}.png"
            images.append((path, render(letter, font, rng)))
            splits[path] = split
    write_folder(root, images, {"splits-1000": splits})
