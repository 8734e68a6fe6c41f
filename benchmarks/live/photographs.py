"""One real set in memory: decoded once, augmented anew for every epoch exactly as the views of a store are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from udta._machine.cores import n_cores
from udta.images import EncodedImage, Transform, ViewSpec, read_images

AUGMENT = "random_resized_crop(224,scale=0.35..1)|flip|jitter(0.2)"  # what `udta extract` makes views 1, 2, ... with
EVALUATE = "resize(256)|centre_crop(224)"
_MANY = 10_000
_AHEAD = 4  # batches

Batch = tuple[UInt8[Tensor, "batch 3 height width"], Int64[Tensor, " batch"]]


class Photographs:
    """The images of a folder (at most 0.5 GB for the largest of the five sets) with their labels and splits.

    View v of an image is what a store of seed 0 holds as its view v, so that epoch e, which trains on view e, begins with the
    views that an adapter is trained on and goes on to new ones.
    """

    def __init__(self, folder: Path) -> None:
        splits = folder / "SPLITS.csv"
        self._pool = ThreadPoolExecutor(n_cores(), "views")
        self.manifest = read_images(folder, splits=splits if splits.exists() else None)
        self._spec = ViewSpec(_MANY, 0, Transform.parse(EVALUATE), Transform.parse(AUGMENT))
        self._images = list(self._pool.map(self._decode, range(len(self.manifest))))

    def rows(self, split: str) -> Int64[np.ndarray, " rows"]:
        """Of one split, ascending."""
        return self.manifest.rows(split)

    @property
    def labels(self) -> Int64[np.ndarray, " rows"]:
        """Class indices of all rows."""
        return self.manifest.labels

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.manifest.classes)

    def batches(self, rows: Sequence[int] | np.ndarray, view: int, size: int) -> Iterator[Batch]:
        """One view of the rows in the order given; threads make the next batches while the caller works on this one."""
        ahead: deque[tuple[Sequence[int] | np.ndarray, list[Future[np.ndarray]]]] = deque()
        for start in range(0, len(rows), size):
            group = rows[start : start + size]
            ahead.append((group, [self._pool.submit(self._view, row, view) for row in group]))
            if len(ahead) > _AHEAD:
                yield self._batch(*ahead.popleft())
        while ahead:
            yield self._batch(*ahead.popleft())

    def _decode(self, row: int) -> EncodedImage:
        """It keeps what it has decoded."""
        sample = self.manifest.sample(row)
        image = EncodedImage(sample.read(), sample.id)
        image.pixels(self._spec.augment.input_side)
        return image

    def _view(self, row: int, view: int) -> np.ndarray:
        return self._spec.view(self._images[row], self.manifest.hashes[row], view)

    def _batch(self, rows: Sequence[int] | np.ndarray, views: Sequence[Future[np.ndarray]]) -> Batch:
        pixels = np.stack([each.result() for each in views])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(self.labels[rows])


def held_out(photographs: Photographs, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The training split in two parts, two thirds of each class and the other third: what learning rates are chosen on."""
    rng = np.random.default_rng(seed)
    rows = photographs.rows("train")
    labels = photographs.labels[rows]
    kept, out = [], []
    for label in np.unique(labels):
        shuffled = rng.permutation(rows[labels == label])
        third = max(1, len(shuffled) // 3)
        out.append(shuffled[:third])
        kept.append(shuffled[third:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(out))
