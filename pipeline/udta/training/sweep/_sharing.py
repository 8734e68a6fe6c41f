"""What the adapters of a sweep share: what is solved before the first step, pooled vectors, and batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta._machine.memory import default_budget
from udta.adapters import PooledAdapter
from udta.adapters.output import OUTPUT_BUFFERS
from udta.loader import FeatureLoader
from udta.store import Store, relabelled
from udta.training._learner import Batch
from udta.training.sources import VECTORS, EveryView, pool_views, training_sources
from udta.training.sweep._group import Group
from udta.training.sweep._trial import Trial, pool_key


@dataclass(frozen=True)
class VectorBatch:
    """Vectors that were pooled before; where adapters are shown batches of their own, `[batch, adapters]` of them.

    `labels` are those of the store itself, which only adapters without a task of their own look at.
    """

    taps: Mapping[str, Float[Tensor, "batch ..."]]
    labels: Int64[Tensor, "batch ..."]
    rows: Int64[Tensor, "batch ..."]


@torch.no_grad()
def solve(trials: Sequence[Trial], device: str) -> None:
    """`Adapter.solve`, once for all that would find the same."""
    solved: dict[Any, Trial] = {}
    for trial in trials:
        model = trial.model.to(device)
        labels = torch.from_numpy(trial.store.labels[trial.rows]).to(device)
        model.learn_units(labels)
        first = solved.setdefault(pool_key(trial), trial)
        if first is trial:
            model.solve(_every_view(trial, device))
        else:
            # What was solved are buffers; parameters are each adapter's own, from its seed.
            found = dict(first.model.named_buffers())
            for name, buffer in model.named_buffers():
                if name not in OUTPUT_BUFFERS:  # these are of its own task, with classes of another number
                    buffer.copy_(found[name])


class SharedBatches:
    """The batches of every epoch, for each adapter as single training with its seed would see them.

    Vectors that adapters pool features to are computed once and kept in memory, as long as there is room for them; a batch is a
    few rows of them, so that every seed may have an order of its own. Groups that have none, or want mixup, read the store; those
    with the same rows, batch size and seed do so together.
    """

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device, self._free = store, device, default_budget()
        self._vectors: dict[Any, Tensor | None] = {}

    def vectors(self, trial: Trial) -> Tensor | None:
        """`[rows, views, features]` that a trial reads instead of taps, computed when first asked for."""
        if trial.member.settings.mixup or not isinstance(trial.model, PooledAdapter):
            return None
        key = pool_key(trial)
        if key not in self._vectors:
            model = trial.model.to(self._device)
            found = pool_views(model, _every_view(trial, self._device), self._free)
            self._vectors[key] = found
            # What is left is for the next ones: all vectors together stay within the budget.
            self._free -= 0 if found is None else found.nbytes
        return self._vectors[key]

    def epoch(self, number: int, groups: Sequence[Group]) -> Iterator[tuple[list[Group], Iterator[Batch]]]:
        """Groups that step on the same batches, with these batches; `number` is from 1."""
        together: dict[Any, list[Group]] = defaultdict(list)
        for group in groups:
            trial = group.trials[0]
            vectors = self.vectors(trial)
            if vectors is not None:
                yield [group], self._picked(number, group, vectors)
            else:
                key = trial.rows.tobytes(), trial.member.settings.batch_size, trial.member.seed, trial.order_key
                together[key].append(group)
        for alike in together.values():
            yield alike, self._read(number, alike)

    def _picked(self, number: int, group: Group, vectors: Tensor) -> Iterator[Batch]:
        """From vectors in memory: one batch for all of the group, or where it is of several seeds one for each adapter."""
        seeds = {trial.member.seed: trial for trial in group.trials}
        plans = {seed: self._order(trial, vectors).plan(number - 1) for seed, trial in seeds.items()}
        plans_shown = [plans[trial.member.seed] for trial in (group.trials if group.apart else group.trials[:1])]
        position = np.full(len(self._store), -1)
        position[group.trials[0].rows] = np.arange(len(group.trials[0].rows))
        rows = np.stack([plan.rows for plan in plans_shown], axis=1)
        views = np.concatenate([plan.views for plan in plans_shown], axis=1)
        chosen = (rows, position[rows] * vectors.shape[1] + views, self._store.labels[rows])
        flat, size = vectors.flatten(0, 1), group.trials[0].member.settings.batch_size
        parts = (torch.split(torch.from_numpy(each).to(self._device), size) for each in chosen)
        for some, picked, labels in zip(*parts, strict=True):
            # One gather for all adapters: `index_select` of the flat views, then the adapters' axis again.
            values = flat.index_select(0, picked.flatten()).view(*picked.shape, flat.shape[1])
            if group.apart:
                yield VectorBatch({VECTORS: values}, labels, some)
            else:
                yield VectorBatch({VECTORS: values[:, 0]}, labels[:, 0], some[:, 0])

    def _order(self, trial: Trial, vectors: Tensor) -> FeatureLoader:
        """The loader of single training: what it would read plays no part, but its order does."""
        member = trial.member
        loader = training_sources(trial.model, trial.store, trial.rows, member.settings, member.seed, self._device)[0]
        # With vectors in memory it shuffles exactly, as single training then does, however large the taps are.
        loader.hold({VECTORS: vectors})
        return loader

    def _read(self, number: int, alike: Sequence[Group]) -> Iterator[Batch]:
        trial = alike[0].trials[0]
        # All taps of the store, with the labels of the trial, by which balanced sampling draws.
        store = relabelled(self._store, trial.store.labels, trial.store.classes, trial.store.task)
        loader = FeatureLoader(
            store,
            rows=trial.rows,
            # The union of what they read, in the order of the store: one pass over the disk for all.
            taps=[tap for tap in self._store.taps if any(tap in group.trials[0].model.taps_used for group in alike)],
            batch_size=trial.member.settings.batch_size,
            seed=trial.member.seed,
            device=self._device,
            dtype=self._store.value_dtype,
            sampling=trial.member.settings.sampling,
        )
        # The order of an epoch depends on its number: a resumed sweep goes on with the right one.
        loader.epoch = number - 1
        return iter(loader)


def _every_view(trial: Trial, device: str) -> EveryView:
    return training_sources(trial.model, trial.store, trial.rows, trial.member.settings, 0, device)[1]
