"""The 24 small Greek letters; the fonts of the test images occur in no training image."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from data.folder import write_folder
from data.letters.render import DEJAVU, STIX, render

SEED = 0
NAMES = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lamda", "mu",
    "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
FONTS = {"train": (*DEJAVU[4:12],), "test": (*DEJAVU[0:4], *STIX)}
N_EACH = 600


def prepare(root: Path) -> None:
    """Write `root/<letter>/<split>-<number>.png` and `splits-600.csv`."""
    rng = np.random.default_rng(SEED)
    images, splits = [], {}
    for split, fonts in FONTS.items():
        for index in range(N_EACH):
            name = NAMES[index % len(NAMES)]
            letter = unicodedata.lookup(f"GREEK SMALL LETTER {name}")
            path = f"{name}/{split}-{index:04d}.png"
            images.append((path, render(letter, fonts[index // len(NAMES) % len(fonts)], rng)))
            splits[path] = split
    write_folder(root, images, {"splits-600": splits})
