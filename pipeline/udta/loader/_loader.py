"""Shuffled epochs over a store, as torch batches: what is asked for, which epoch it is, and how far it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from udta._machine.memory import default_budget, fits_on
from udta.errors import Problems
from udta.loader._batch import Batch
from udta.loader._choices import checked_sampling, class_mask, distinct_views, dtype_name, view_choice
from udta.loader._order import Epoch, balanced_rows, order_rows
from udta.loader._reading import BatchReader
from udta.loader._resident import Resident, load_taps
from udta.store import Store, row_bytes

# Two windows, the batches around them and what the kernel keeps beside them stay within the budget: a pass over 10 GB with 512 MB
# peaks at 370 MB above the imports (torch alone maps 530 MB).
_WINDOW_SHARE = 0.18


class FeatureLoader(IterableDataset[Batch]):
    """An iterable of batches; every `iter()` is the next epoch, with its own order and its own random views.

    Order and views of an epoch depend on (`seed`, `epoch`) alone. Set `epoch` to repeat or skip one; `state_dict` and
    `load_state_dict` go on in the middle of one. Inside a `torch.utils.data.DataLoader(loader, batch_size=None)` the workers
    share out the batches and the mapped files; an epoch's order then follows torch's seed, because workers do not know the epoch.

    Args:
        store: where the features come from.
        split: rows of this split; None takes every row. Images that were skipped never appear.
        rows: exactly these rows instead of a split.
        taps: tap names to read; all by default.
        batch_size: rows a batch; the last one may be shorter.
        shuffle: a new order every epoch: an exact permutation of all rows where they fit `memory_budget`, otherwise shuffled
            blocks in windows of exactly shuffled rows.
        views: `"random"` draws one view for each row and epoch; a number is that view; a list or `"all"` adds a view axis.
        seed: of order and views.
        device: where the batches are delivered.
        dtype: `"float16"`, `"float32"` or `"bfloat16"`; the stored dtype by default. A uint8 store gives its codes by default,
            and the values that they stand for with any of these.
        classes: rows of these classes only, by name.
        memory_budget: bytes that features may take in memory; half of the memory by default.
        resident: keep all features of these rows in the memory of `device`, and pick the batches there. `"auto"` does so on a
            CUDA device that has room; on a CPU the kernel's own cache of the files serves as well.
        sampling: `"uniform"` delivers every row once an epoch; `"balanced"` as many rows, but of each class as many as of
            another: rows of rare classes several times, of frequent ones some, others in every epoch.

    Attributes:
        bytes_read: of features that were delivered, as stored; what is resident counts once.

    Raises:
        ConfigError: unknown split, tap, view, dtype, class, or a batch size or budget below 1; all of them at once. Balanced
            sampling without a shuffle, or of rows without a class.
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
        classes: Sequence[str] | None = None,
        memory_budget: int | None = None,
        resident: bool | Literal["auto"] = False,
        sampling: str = "uniform",
    ) -> None:
        problems = Problems()  # all of them at once: whoever mistyped two options should not have to start three times
        if batch_size < 1:
            problems.add(f"batch_size is {batch_size}, but a batch holds at least one row")
        if memory_budget is not None and memory_budget < 1:
            problems.add(f"memory_budget is {memory_budget} bytes, but it is at least 1")
        self.store, self.batch_size, self.shuffle, self.seed = store, batch_size, shuffle, seed
        self.device = torch.device(device)
        self.views = problems.collect(view_choice, store, views)
        self._dtype = problems.collect(dtype_name, dtype)
        chosen = problems.collect(store.rows, split) if rows is None else problems.collect(store.check_rows, rows)
        wanted = problems.collect(class_mask, store, classes)
        self.taps = problems.collect(store.check_taps, taps) or []
        problems.raise_any()
        assert chosen is not None
        self.rows: np.ndarray = chosen if wanted is None else chosen[wanted[chosen]]
        self._sampling = checked_sampling(sampling, self.store.labels[self.rows], shuffle=shuffle)
        self.memory_budget = default_budget() if memory_budget is None else memory_budget
        self._epoch, self._skip, self._delivered = 0, 0, (0, 0)
        self._held: Mapping[str, Tensor] | None = None
        self._resident: Resident | None = None
        # Random views: any of them may come, and what was read once stays in memory as long as it fits.
        n_views = store.n_views if self.views == "random" else self._views_per_row
        self._whole = len(self.rows) * n_views * self._row_bytes
        self._keeps_taps = fits_on(self.device, self._whole) if resident == "auto" else resident
        self.bytes_read = 0

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def epoch(self) -> int:
        """The number of the next `iter()`, from 0; set it to repeat or skip one."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._epoch, self._skip, self._delivered = number, 0, (number, 0)

    @property
    def windowed(self) -> bool:
        """Whether the rows do not fit the memory budget, so that they are shuffled in windows."""
        return self._whole > self.memory_budget and not self._wants_resident

    def hold(self, values: Mapping[str, Float[Tensor, "rows views ..."]]) -> None:
        """From now on pick batches from these values, which they have instead of taps, and read nothing.

        Args:
            values: by name, on `device`: of `rows` in their order, in every view that a batch may want, ascending.
        """
        self._held, self._resident = values, None

    def release(self) -> None:
        """The end of `hold`: batches have taps again."""
        self._held = self._resident = None

    def state_dict(self) -> dict[str, int]:
        """Where the current epoch is: what was delivered so far, not what is read ahead."""
        return {"epoch": self._delivered[0], "batch": self._delivered[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next `iter()` goes on behind the last batch that was delivered when `state` was taken."""
        self.epoch = state["epoch"]
        self._skip, self._delivered = state["batch"], (state["epoch"], state["batch"])

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()  # of a `DataLoader`; None in an ordinary process
        number, skip = self._epoch, self._skip
        self._epoch, self._skip = number + 1, 0
        # A worker is forked anew every epoch and would repeat the first one; torch's seed for this epoch is the same in all.
        epoch = self.plan(number if worker is None else worker.seed - worker.id)
        starts = range(0, len(self.rows), self.batch_size)[skip:]
        if worker is not None:
            starts = starts[worker.id :: worker.num_workers]
        # Counted when the user has them, whatever was read ahead: a training that is killed goes on behind what it saw.
        self._delivered = (number, skip)
        for delivered, batch in enumerate(self._batches(epoch, starts), skip + 1):
            self._delivered = (number, delivered)
            if not self._wants_resident:
                self.bytes_read += len(batch) * self._views_per_row * self._row_bytes
            yield batch

    def __getstate__(self) -> dict[str, Any]:
        # What is resident is not copied to another process, which loads its own.
        return {**self.__dict__, "_resident": None}

    def plan(self, number: int) -> Epoch:
        """The order and the views of an epoch, from 0, as its batches show them."""
        # Of both numbers, not of their sum: epoch 1 of seed 0 would be epoch 0 of seed 1.
        rng = np.random.default_rng([self.seed, number])
        window_rows = None
        if self.windowed:
            # Not less than a batch: one that lay in three windows would need memory that is given back.
            window_rows = max(
                self.batch_size, int(self.memory_budget * _WINDOW_SHARE) // (self._row_bytes * self._views_per_row)
            )
        chosen = self.rows
        if self._sampling == "balanced":
            chosen = balanced_rows(self.rows, self.store.labels[self.rows], rng)
        rows, windows = order_rows(
            chosen,
            block_rows=self.store.layout.block_rows,
            window_rows=window_rows,
            rng=rng if self.shuffle else None,
        )
        if self.views == "random":
            return Epoch(rows, rng.integers(self.store.n_views, size=(len(rows), 1)), windows)
        # One row of memory for all: the same views for every sample.
        chosen = np.atleast_1d(np.array(self.views, dtype=np.int64))
        return Epoch(rows, np.broadcast_to(chosen, (len(rows), len(chosen))), windows)

    def _batches(self, epoch: Epoch, starts: range) -> Iterator[Batch]:
        view_axis = isinstance(self.views, list)
        if self._wants_resident:
            return self._loaded().batches(epoch, starts, self.batch_size, view_axis=view_axis)
        reader = BatchReader(self.store, epoch, self.taps, self._dtype, view_axis=view_axis, device=self.device)
        return reader.batches(starts, self.batch_size)

    def _loaded(self) -> Resident:
        if self._resident is None:
            views, values = distinct_views(self.store, self.views), self._held
            if values is None:
                dtypes = {tap: self._dtype or self.store.taps[tap].dtype for tap in self.taps}
                values = load_taps(self.store, self.rows, views, self.device, dtypes)
                self.bytes_read += self._whole
            self._resident = Resident(self.store, self.rows, views, self.device, values)
        return self._resident

    @property
    def _wants_resident(self) -> bool:
        return self._held is not None or self._keeps_taps

    @property
    def _views_per_row(self) -> int:
        return len(self.views) if isinstance(self.views, list) else 1

    @property
    def _row_bytes(self) -> int:
        return sum(row_bytes(self.store.taps[tap]) for tap in self.taps)
