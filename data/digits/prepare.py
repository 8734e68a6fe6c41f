"""scikit-learn's 1,797 handwritten digits as PNG files, with two label budgets over one test set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from data.folder import write_folder

SEED = 0
N_TEST = 797
BUDGETS = (100, 500)


def prepare(root: Path) -> None:
    """Write `root/<digit>/<number>.png`, `splits-100.csv` and `splits-500.csv`."""
    digits = load_digits()
    paths = [f"{label}/{index:04d}.png" for index, label in enumerate(digits.target)]
    grey = np.repeat((digits.images * 255 / 16).round().astype(np.uint8)[..., None], 3, axis=3)
    write_folder(
        root,
        zip(paths, map(Image.fromarray, grey), strict=True),
        {f"splits-{budget}": _split(paths, digits.target, budget) for budget in BUDGETS},
    )


def _split(paths: list[str], labels: np.ndarray, budget: int) -> dict[str, str]:
    """The same 797 test images for every budget; `budget` training images, as many of each digit; the rest is unused."""
    order = np.random.default_rng(SEED).permutation(len(paths))
    split = {paths[row]: "test" for row in order[:N_TEST]}
    left = order[N_TEST:]
    for digit in range(10):
        rows = left[labels[left] == digit]
        split |= {paths[row]: "train" if rank < budget // 10 else "unused" for rank, row in enumerate(rows)}
    return split
