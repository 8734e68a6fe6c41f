"""One pass over the data for trainings that differ in rows and batch size: each picks its own rows out of a common stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from udta.loader import Batch


class Rebatch:
    """The rows of one training out of the batches that are read for all of them.

    A random order of all rows, seen at a part of the rows alone, is a random order of the part: such a training sees what its
    own loader would give it. A batch of the stream that fits as it is passes through without a copy.
    """

    def __init__(self, rows: np.ndarray, batch_size: int, n_rows: int) -> None:
        """`n_rows` is the length of the store."""
        self._wanted = torch.zeros(n_rows, dtype=torch.bool)
        self._wanted[torch.from_numpy(rows)] = True
        self.batch_size, self._n_rows = batch_size, len(rows)
        self._waiting: Batch | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self._n_rows // self.batch_size)

    def same(self, other: Rebatch) -> bool:
        """Whether both give the same batches."""
        return self.batch_size == other.batch_size and torch.equal(self._wanted, other._wanted)

    def feed(self, batch: Batch) -> Iterator[Batch]:
        """The full batches that are ready after this one of the stream."""
        chosen = self._wanted.to(batch.rows.device)[batch.rows]
        part = batch if bool(chosen.all()) else _map(batch, lambda values: values[chosen])
        if self._waiting is not None and len(self._waiting):
            part = _join(self._waiting, part)
        while len(part) >= self.batch_size:
            yield part if len(part) == self.batch_size else _map(part, lambda values: values[: self.batch_size])
            part = _map(part, lambda values: values[self.batch_size :])
        self._waiting = part

    def flush(self) -> Iterator[Batch]:
        """What is left at the end of an epoch."""
        if self._waiting is not None and len(self._waiting):
            yield self._waiting
        self._waiting = None


def _map(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    return Batch({tap: change(values) for tap, values in batch.taps.items()}, change(batch.labels), change(batch.rows))


def _join(first: Batch, second: Batch) -> Batch:
    taps = {tap: torch.cat([values, second.taps[tap]]) for tap, values in first.taps.items()}
    return Batch(taps, torch.cat([first.labels, second.labels]), torch.cat([first.rows, second.rows]))
