"""What the adapters of a sweep share: what is solved before the first step, pooled vectors, and the batches of every epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from udta.adapters import PooledAdapter
from udta.fitting import VECTORS, EveryView, pool_views, training_sources
from udta.loader import FeatureLoader
from udta.loader.memory import default_budget
from udta.store import Store
from udta.sweeping.group import Group
from udta.sweeping.trial import Trial


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


def pool_key(trial: Trial) -> tuple[Any, ...]:
    """Trials with the same key are solved alike, so that they pool features to the same vectors."""
    model = trial.model
    labels = trial.store.labels[trial.rows].tobytes() if model.solves_labels else None
    return model.name, repr(sorted(model.options.items())), tuple(model.taps.items()), trial.rows.tobytes(), labels


class Feeds:
    """The batches of every epoch, as single training with the same seed would see them.

    Vectors that adapters pool features to are computed once and kept in memory, as long as there is room for them. Groups that
    have none, or want mixup, read the store; those with the same rows and batch size do so together.
    """

    def __init__(self, store: Store, seed: int, device: str) -> None:
        self._store, self._seed, self._device, self._room = store, seed, device, default_budget()
        self._vectors: dict[Any, Tensor | None] = {}

    def epoch(self, number: int, groups: Sequence[Group]) -> Iterator[tuple[list[Group], FeatureLoader]]:
        """Groups that step on the same batches, with these batches; `number` is from 1."""
        together: dict[Any, list[Group]] = defaultdict(list)
        for group in groups:
            trial = group.trials[0]
            key = pool_key(trial) if self._vectors_of(group) is not None else None
            together[key, trial.rows.tobytes(), trial.member.settings.batch_size].append(group)
        for (key, _, batch_size), alike in together.items():
            loader = FeatureLoader(
                self._store,
                rows=alike[0].trials[0].rows,
                taps=[tap for tap in self._store.taps if any(tap in group.first.taps_used for group in alike)],
                batch_size=batch_size,
                seed=self._seed,
                device=self._device,
                dtype=self._store.value_dtype,
            )
            loader.epoch = number - 1
            vectors = self._vectors.get(key)
            if vectors is not None:
                loader.hold({VECTORS: vectors})
            yield alike, loader

    def _vectors_of(self, group: Group) -> Tensor | None:
        if group.mixup or not isinstance(group.first, PooledAdapter):
            return None
        trial = group.trials[0]
        key = pool_key(trial)
        if key not in self._vectors:
            found = pool_views(group.first, _every_view(trial, self._device), self._room)
            self._vectors[key] = found
            self._room -= 0 if found is None else found.nbytes
        return self._vectors[key]


def _every_view(trial: Trial, device: str) -> EveryView:
    return training_sources(trial.model, trial.store, trial.rows, trial.member.settings.batch_size, 0, device)[1]
