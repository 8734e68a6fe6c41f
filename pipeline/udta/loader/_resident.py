"""Features that are all in the memory of a device, where batches are picked from without the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from udta.loader._batch import Batch
from udta.loader._order import Epoch
from udta.store import Store, as_tensor


class Resident:
    """All samples of a selection in the memory of a device, where batches are picked from without the CPU.

    `values` are `[rows, views, ...]` by name, in the order of `rows` and `views`.
    """

    def __init__(
        self, store: Store, rows: np.ndarray, views: Sequence[int], device: torch.device, values: Mapping[str, Tensor]
    ) -> None:
        self._device, self._labels, self._values = device, store.labels, values
        # Tables over all rows and views of the store, so that an epoch is looked up by indexing: -1 is never asked for.
        self._position = np.full(len(store), -1)
        self._position[rows] = np.arange(len(rows))
        self._column = np.full(store.n_views, -1)
        self._column[list(views)] = np.arange(len(views))

    def batches(self, epoch: Epoch, starts: range, batch_size: int, *, view_axis: bool) -> Iterator[Batch]:
        """Those that begin at these positions of an epoch, in order; without a view axis every row has one view."""
        # The order of the whole epoch goes to the device at once, so that no batch waits for a copy.
        rows, labels, samples, columns = self._order(epoch)
        for start in starts:
            part = slice(start, start + batch_size)
            # One indexing operation for all rows and views; a view axis of one is taken away afterwards, which copies nothing.
            picked = {name: values[samples[part, None], columns[part]] for name, values in self._values.items()}
            taps = picked if view_axis else {name: values[:, 0] for name, values in picked.items()}
            yield Batch(taps, labels[part], rows[part])

    def _order(self, epoch: Epoch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """An epoch on the device: rows, labels, and where rows and views lie in `values`."""
        parts = (epoch.rows, self._labels[epoch.rows], self._position[epoch.rows], self._column[epoch.views])
        rows, labels, samples, columns = (torch.from_numpy(part.copy()).to(self._device) for part in parts)
        return rows, labels, samples, columns


def load_taps(
    store: Store, rows: np.ndarray, views: Sequence[int], device: torch.device, dtypes: Mapping[str, str]
) -> dict[str, Tensor]:
    """Everything that `Resident` wants of the taps that have a dtype, `[rows, views, ...]`."""
    return {tap: _load(store, tap, rows, views, device, dtype) for tap, dtype in dtypes.items()}


def _load(store: Store, tap: str, rows: np.ndarray, views: Sequence[int], device: torch.device, dtype: str) -> Tensor:
    shape = (len(rows), len(views), *store.taps[tap].shape)
    whole = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
    # A block of rows at a time, so that beside the whole there is never more than that in memory.
    step = max(1, store.layout.block_rows // len(views))
    for start in range(0, len(rows), step):
        values = store.read(rows[start : start + step], [tap], views, dtype=dtype)[tap]
        whole[start : start + step] = as_tensor(values)
    return whole
