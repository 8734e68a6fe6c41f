"""What the adapters of a sweep share: what is solved before the first step, pooled vectors, and batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from udta._machine.memory import default_budget
from udta.adapters import PooledAdapter
from udta.loader import FeatureLoader
from udta.store import Store
from udta.training.sources import VECTORS, EveryView, pool_views, training_sources
from udta.training.sweep.group import Group
from udta.training.sweep.trial import Trial, pool_key

# What a group is shown in a step, see `Group.step`: values by name, and the rows of the store that they are of.
Shown = tuple[Mapping[str, Tensor], Tensor]


@torch.no_grad()
def solve(trials: Sequence[Trial], device: str) -> None:
    """`Adapter.solve`, once for all that would find the same."""
    solved: dict[Any, Trial] = {}
    for trial in trials:
        model = trial.model.to(device)
        first = solved.setdefault(pool_key(trial), trial)
        if first is trial:
            model.solve(_every_view(trial, device))
        else:
            found = dict(first.model.named_buffers())
            for name, buffer in model.named_buffers():
                buffer.copy_(found[name])


class Feeds:
    """The batches of every epoch, for each adapter as single training with its seed would see them.

    Vectors that adapters pool features to are computed once and kept in memory, as long as there is room for them; a batch is a
    few rows of them, so that every seed may have an order of its own. Groups that have none, or want mixup, read the store; those
    with the same rows, batch size and seed do so together.
    """

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device, self._room = store, device, default_budget()
        self._vectors: dict[Any, Tensor | None] = {}

    def vectors(self, trial: Trial) -> Tensor | None:
        """`[rows, views, features]` that a trial reads instead of taps, computed when first asked for."""
        if trial.member.settings.mixup or not isinstance(trial.model, PooledAdapter):
            return None
        key = pool_key(trial)
        if key not in self._vectors:
            model = trial.model.to(self._device)
            found = pool_views(model, _every_view(trial, self._device), self._room)
            self._vectors[key] = found
            self._room -= 0 if found is None else found.nbytes
        return self._vectors[key]

    def epoch(self, number: int, groups: Sequence[Group]) -> Iterator[tuple[list[Group], Iterator[Shown]]]:
        """Groups that step on the same batches, with these batches; `number` is from 1."""
        together: dict[Any, list[Group]] = defaultdict(list)
        for group in groups:
            trial = group.trials[0]
            vectors = self.vectors(trial)
            if vectors is not None:
                yield [group], self._picked(number, group, vectors)
            else:
                together[trial.rows.tobytes(), trial.member.settings.batch_size, trial.member.seed].append(group)
        for alike in together.values():
            yield alike, self._read(number, alike)

    def _picked(self, number: int, group: Group, vectors: Tensor) -> Iterator[Shown]:
        """From vectors in memory: one batch for all of the group, or where it is of several seeds one for each adapter."""
        seeds = {trial.member.seed: trial for trial in group.trials}
        plans = {seed: self._order(trial, vectors).plan(number - 1) for seed, trial in seeds.items()}
        shown = [plans[trial.member.seed] for trial in (group.trials if group.apart else group.trials[:1])]
        position = np.full(len(self._store), -1)
        position[group.trials[0].rows] = np.arange(len(group.trials[0].rows))
        rows = np.stack([plan.rows for plan in shown], axis=1)
        views = np.concatenate([plan.views for plan in shown], axis=1)
        order, picked = (
            torch.from_numpy(each).to(self._device) for each in (rows, position[rows] * vectors.shape[1] + views)
        )
        flat, size = vectors.flatten(0, 1), group.trials[0].member.settings.batch_size
        for some, where in zip(torch.split(order, size), torch.split(picked, size), strict=True):
            values = flat.index_select(0, where.flatten()).view(*where.shape, flat.shape[1])
            yield ({VECTORS: values}, some) if group.apart else ({VECTORS: values[:, 0]}, some[:, 0])

    def _order(self, trial: Trial, vectors: Tensor) -> FeatureLoader:
        """The loader of single training: what it would read plays no part, but its order does."""
        batch_size, seed = trial.member.settings.batch_size, trial.member.seed
        loader = training_sources(trial.model, trial.store, trial.rows, batch_size, seed, self._device)[0]
        loader.hold({VECTORS: vectors})
        return loader

    def _read(self, number: int, alike: Sequence[Group]) -> Iterator[Shown]:
        trial = alike[0].trials[0]
        loader = FeatureLoader(
            self._store,
            rows=trial.rows,
            taps=[tap for tap in self._store.taps if any(tap in group.first.taps_used for group in alike)],
            batch_size=trial.member.settings.batch_size,
            seed=trial.member.seed,
            device=self._device,
            dtype=self._store.value_dtype,
        )
        loader.epoch = number - 1
        return ((batch.taps, batch.rows) for batch in loader)


def _every_view(trial: Trial, device: str) -> EveryView:
    return training_sources(trial.model, trial.store, trial.rows, trial.member.settings.batch_size, 0, device)[1]
