"""Adapters that step together: one architecture, one set of rows, one batch size; everything else may differ."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from udta.adapters import Adapter, PooledAdapter
from udta.training._learner import Batch, Learner
from udta.training.sweep._trial import Trial, pool_key
from udta.training.sweep._vectorised import Vectorised

# Adapters that step together, by kind of device. On two cores, an epoch of 32 `udta` takes 0.73 s of processor time four at a
# time, 0.52 s eight, 0.54 s sixteen, 0.49 s all at once, but what many compute no longer fits the caches that others use too. A
# GPU waits for launches, which are as many for one adapter as for all.
CHUNK = {"cpu": 8, "cuda": 32}


def form_groups(trials: Sequence[Trial], in_memory: Callable[[Trial], bool], device: str, epoch: int) -> list[Group]:
    """Groups of at most `CHUNK` trials that may step together, after `epoch`.

    Those of one seed are shown the same batches, which costs least, so they are put together first. Where what adapters read is
    `in_memory`, those that are left over step together too, each on batches of its own; otherwise every seed reads the store.
    """
    by_key: dict[Any, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_key[_key(trial)].append(trial)
    groups = []
    for alike in by_key.values():
        chunks = _chunks(alike, CHUNK[torch.device(device).type], apart=in_memory(alike[0]))
        groups += [Group(some, device, epoch) for some in chunks]
    return groups


def _key(trial: Trial) -> tuple[Any, ...]:
    """Trials with the same key may be in one group. Mixup is a part of it: its maps are the input of all adapters of a group."""
    recipe = trial.member.settings
    model = trial.model
    return pool_key(trial), model.task.name, model.n_classes, recipe.mixup, recipe.batch_size, trial.order_key


def _chunks(trials: Sequence[Trial], size: int, *, apart: bool) -> Iterator[list[Trial]]:
    by_seed: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_seed[trial.member.seed].append(trial)
    left: list[Trial] = []
    for same in by_seed.values():
        # Groups that read the store must be of one seed, however few they are: a batch that is read is of one order.
        whole = len(same) // size * size if apart else len(same)
        yield from _cut(same[:whole], size)
        left += same[whole:]
    yield from _cut(left, size)


def _cut(trials: Sequence[Trial], size: int) -> Iterator[list[Trial]]:
    return (list(trials[start : start + size]) for start in range(0, len(trials), size))


class Group(Learner):
    """Trials that step together, and where their training is.

    Attributes:
        trials: in the order of the adapters' axis.
        apart: whether they are of several seeds, so that each is shown a batch of its own.
    """

    def __init__(self, trials: Sequence[Trial], device: str, epoch: int) -> None:
        self.trials = list(trials)
        first = trials[0]
        self.apart = len({trial.member.seed for trial in trials}) > 1
        self._vectorised = Vectorised([trial.model.to(device) for trial in trials], apart=self.apart)
        full, rest = divmod(len(first.rows), first.member.settings.batch_size)
        n_batches = full + (rest > 0)
        super().__init__(
            self._vectorised,
            [trial.member.settings for trial in trials],
            [trial.balance for trial in trials],
            n_batches=n_batches,
            seed=first.member.seed,
            device=torch.device(device),
        )
        self.progress.epoch, self.progress.batches = epoch + 1, epoch * n_batches
        self.progress.steps = epoch * (full + (rest > 1))  # a batch of one sample is passed over
        self._look_up_labels()

    @property
    def flops(self) -> float:
        """Floating point operations of a step on vectors; infinite where the adapters read maps."""
        recipe = self.trials[0].member.settings
        if recipe.mixup or not isinstance(self.trials[0].model, PooledAdapter):
            return math.inf
        # Two for a multiplication and an addition, in two products: logits, and the gradient of the weights.
        return 4 * recipe.batch_size * sum(trial.model.n_parameters for trial in self.trials)

    def targets_of(self, batch: Batch) -> Float[Tensor, "adapters batch classes"]:
        """Of every trial's own labels; `batch.rows` are `[batch]`, or `[batch, adapters]` where they are `apart`."""
        each = torch.arange(len(self.trials), device=self.device)[:, None]
        return self._vectorised.targets(self._labels[each, batch.rows.T if self.apart else batch.rows])

    def pick(self, trials: Sequence[Trial]) -> None:
        """Forget all trials but these."""
        index = [number for number, trial in enumerate(self.trials) if trial in trials]
        if len(index) == len(self.trials):
            return
        self.trials = [self.trials[number] for number in index]
        if self.trials:
            self._vectorised.pick(index)
            self.keep(index)
            self._look_up_labels()

    def model(self, trial: Trial) -> Adapter:
        """The trial's adapter as it is now, in evaluation mode."""
        trial.model.load_state_dict(self._vectorised.state(self.trials.index(trial)))
        return trial.model.eval()

    def _look_up_labels(self) -> None:
        labels = [torch.from_numpy(trial.store.labels).to(self.device) for trial in self.trials]
        self._labels: Num[Tensor, "adapters rows ..."] = torch.stack(
            [trial.model.standardise_labels(own) for trial, own in zip(self.trials, labels, strict=True)]
        )
