"""Shuffled epochs over a store, as torch batches.

Rows are copied straight from the mapped chunks into fresh batch buffers by one background thread, two batches ahead. Worker
processes would lose: `DataLoader` workers reach 0.05 of the memory limit where one thread with reused mappings reaches 0.5-0.8
(measured on a warm 1 GB store).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike
from torch import Tensor

from udta.errors import ConfigError, did_you_mean
from udta.store import Store

_AHEAD = 2
_DTYPES = {"float16": torch.float16, "float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Batch:
    """One batch: features by tap (`[batch, ...]`, or `[batch, views, ...]` for several views), class indices, store rows."""

    taps: Mapping[str, Float[Tensor, "batch ..."]]
    labels: Int64[Tensor, " batch"]
    rows: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.rows)


class FeatureLoader:
    """An iterable of batches; every `iter()` is the next epoch, with its own order and its own random views.

    Order and views of an epoch depend on (`seed`, `epoch`) alone. Set `epoch` to repeat or skip one.

    Args:
        store: where the features come from.
        split: rows of this split; None takes every row. Images that were skipped never appear.
        rows: exactly these rows instead of a split.
        taps: tap names to read; all by default.
        batch_size: rows a batch; the last one may be shorter.
        shuffle: a new exact permutation of all rows every epoch.
        views: `"random"` draws one view for each row and epoch; a number is that view; a list or `"all"` adds a view axis.
        seed: of order and views.
        device: where the batches are delivered.
        dtype: `"float16"`, `"float32"` or `"bfloat16"`; the stored dtype by default.

    Raises:
        ConfigError: unknown split, tap, view, dtype, or a batch size below 1.
        UncommittedRowError: some of the rows were never committed, or their image was skipped.
    """

    def __init__(
        self,
        store: Store,
        split: str | None = "train",
        rows: ArrayLike | None = None,
        taps: Sequence[str] | None = None,
        batch_size: int = 128,
        shuffle: bool = True,
        views: Literal["random", "all"] | int | Sequence[int] = "random",
        seed: int = 0,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}, but a batch holds at least one row")
        self.store, self.batch_size, self.shuffle, self.seed = store, batch_size, shuffle, seed
        self.rows = store.rows(split) if rows is None else store.check_rows(rows)
        self.taps = store.check_taps(taps)
        self.views = _view_choice(store, views)
        self.device, self.dtype = torch.device(device), _torch_dtype(dtype)
        self.epoch = 0

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows, views = self._plan(self.epoch)
        self.epoch += 1
        with ThreadPoolExecutor(1, thread_name_prefix="udta-read") as reader:
            ahead: deque[Future[Batch]] = deque()
            try:
                for start in range(0, len(rows), self.batch_size):
                    stop = start + self.batch_size
                    ahead.append(reader.submit(self._read, rows[start:stop], views[start:stop]))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Row order, and the views `[rows, views a row]`, of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = rng.permutation(self.rows) if self.shuffle else self.rows
        if self.views == "random":
            return rows, rng.integers(self.store.n_views, size=(len(rows), 1))
        chosen = [self.views] if isinstance(self.views, int) else list(self.views)
        return rows, np.broadcast_to(np.array(chosen, dtype=np.int64), (len(rows), len(chosen)))

    def _read(self, rows: np.ndarray, views: np.ndarray) -> Batch:
        return Batch(
            {tap: self._gather(tap, rows, views) for tap in self.taps},
            torch.from_numpy(self.store.labels[rows]).to(self.device),
            torch.from_numpy(rows.copy()).to(self.device),
        )

    def _gather(self, tap: str, rows: np.ndarray, views: np.ndarray) -> Tensor:
        spec = self.store.taps[tap]
        values = np.empty((*views.shape, *spec.shape), dtype=spec.dtype)
        for position in range(views.shape[1]):
            self.store.gather(tap, rows, views[:, position], values[:, position])
        single = self.views == "random" or isinstance(self.views, int)
        tensor = torch.from_numpy(values[:, 0] if single else values)
        return tensor.to(self.device, self.dtype or tensor.dtype)


def _view_choice(store: Store, views: str | int | Sequence[int]) -> Literal["random"] | int | list[int]:
    if isinstance(views, str):
        if views == "random":
            return "random"
        if views == "all":
            return list(range(store.n_views))
        raise ConfigError(
            f"views is {views!r}: {did_you_mean(views, ['random', 'all'])} A number or a list of numbers is fine too"
        )
    chosen = [int(views)] if isinstance(views, int | np.integer) else [int(view) for view in views]
    store.check_views(chosen)
    return chosen[0] if isinstance(views, int | np.integer) else chosen


def _torch_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if isinstance(dtype, str):
        if dtype not in _DTYPES:
            raise ConfigError(f"dtype is {dtype!r}: {did_you_mean(dtype, _DTYPES)}")
        return _DTYPES[dtype]
    return dtype
