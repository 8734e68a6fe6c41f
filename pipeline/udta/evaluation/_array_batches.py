"""Arrays in memory as what a training reads, and labels of some rows as those of a whole store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int64, Num

from udta.loader import Batch, balanced_rows

TAP = "features"  # what the one tap of an array is called


class ArrayBatches:
    """Epochs over an array in memory, as one tap; a seed shuffles every one of them, `uniform` or `balanced` by class."""

    def __init__(
        self,
        inputs: Float[np.ndarray, "samples features"],
        labels: Num[np.ndarray, "samples ..."],
        batch_size: int,
        device: torch.device,
        seed: int | None = None,
        sampling: str = "uniform",
    ) -> None:
        # Copies, because torch warns of arrays that must not be written to, and joblib's are such.
        self._inputs, self._labels = torch.tensor(inputs, device=device), torch.tensor(labels, device=device)
        self._batch_size = batch_size
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._drawn = np.random.default_rng(seed) if sampling == "balanced" else None

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self._labels)
        order = torch.arange(n) if self._generator is None else torch.randperm(n, generator=self._generator)
        if self._drawn is not None:
            order = torch.from_numpy(balanced_rows(np.arange(n), self._labels.cpu().numpy(), self._drawn))[order]
        for part in torch.split(order.to(self._labels.device), self._batch_size):
            yield Batch({TAP: self._inputs[part]}, self._labels[part], part)


def labels_by_row(
    n_rows: int, rows: Int64[np.ndarray, " samples"], labels: Num[np.ndarray, "samples ..."]
) -> Num[np.ndarray, "rows ..."]:
    """Unknown where none is given; raises `ValueError` for a row that is given twice with different labels."""
    unknown = -1 if labels.ndim == 1 else np.nan
    by_row = np.full((n_rows, *labels.shape[1:]), unknown, dtype=labels.dtype)
    by_row[rows] = labels
    if not np.array_equal(by_row[rows], labels):
        raise ValueError("a row of the store is given twice with different labels")
    return by_row
