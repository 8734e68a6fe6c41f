"""Adapters that step together: one architecture, one set of rows, one batch size; everything else may differ."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters import Adapter, PooledAdapter
from udta.adapters.schedule import one_cycle
from udta.training.loop import EpochResult, mix
from udta.training.sources import VECTORS
from udta.training.sweep.optimiser import Hyperparameters, StackedAdamW
from udta.training.sweep.stacked import Inputs, Stack
from udta.training.sweep.trial import Trial, pool_key

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
    return pool_key(trial), trial.model.n_classes, recipe.mixup, recipe.batch_size


def _chunks(trials: Sequence[Trial], size: int, *, apart: bool) -> Iterator[list[Trial]]:
    by_seed: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_seed[trial.member.seed].append(trial)
    left: list[Trial] = []
    for same in by_seed.values():
        whole = len(same) // size * size if apart else len(same)
        yield from _cut(same[:whole], size)
        left += same[whole:]
    yield from _cut(left, size)


def _cut(trials: Sequence[Trial], size: int) -> Iterator[list[Trial]]:
    return (list(trials[start : start + size]) for start in range(0, len(trials), size))


class Group:
    """Trials that step together, and where their training is.

    Attributes:
        apart: whether they are of several seeds, so that each is shown a batch of its own.
    """

    def __init__(self, trials: Sequence[Trial], device: str, epoch: int) -> None:
        self.trials, self._device = list(trials), device
        self.first = trials[0].model.to(device)  # all of the group pool alike
        self.mixup = trials[0].member.settings.mixup
        self.apart = len({trial.member.seed for trial in trials}) > 1
        example: Inputs = self._inputs(
            {tap: torch.zeros(2, *self.first.taps[tap], device=device) for tap in self.first.taps_used}
        )
        if self.apart:
            assert isinstance(example, Tensor), "only vectors in memory are shown apart"
            example = example[:, None].expand(-1, len(trials), -1)
        self.stack = Stack([trial.model.to(device) for trial in trials], example, apart=self.apart)
        self.optimiser = StackedAdamW(self.stack.parameters)
        # As single training: one generator of mixup for all epochs.
        self._generator = torch.Generator().manual_seed(trials[0].member.seed)
        full, rest = divmod(len(trials[0].rows), trials[0].member.settings.batch_size)
        self._steps_per_epoch = full + (rest > 0)
        self._passed, self.optimiser.steps = epoch * self._steps_per_epoch, epoch * (full + (rest > 1))
        self._prepare()

    @property
    def flops(self) -> float:
        """Floating point operations of a step on vectors; infinite where the adapters read maps."""
        if self.mixup or not isinstance(self.first, PooledAdapter):
            return math.inf
        return 4 * self.trials[0].member.settings.batch_size * sum(trial.model.n_parameters for trial in self.trials)

    def begin_epoch(self) -> None:
        """Sums at zero."""
        size = len(self.trials)
        self._loss, self._correct, self._seen = torch.zeros(size), torch.zeros(size), 0

    def step(self, values: Mapping[str, Tensor], rows: Int64[Tensor, "batch ..."]) -> None:
        """One update of every adapter.

        Args:
            values: taps or vectors, `[batch, ...]`; vectors `[batch, adapters, features]` where adapters are `apart`.
            rows: of the store, `[batch]` or `[batch, adapters]`, on the device.
        """
        if len(rows) > 1:  # BatchNorm has no statistics of a single sample
            labels = self._labels.gather(1, rows.T) if self.apart else self._labels[:, rows]
            targets = F.one_hot(labels, self.trials[0].model.n_classes).float()
            if self.mixup > 0:
                values, targets = mix(
                    {tap: values[tap] for tap in self.first.taps_used}, targets, self.mixup, self._generator
                )
            logits = self.stack(self._inputs(values), training=True)
            losses = cross_entropy(logits, targets, self._settings.label_smoothing)
            for parameter in self.stack.parameters.values():
                parameter.grad = None
            torch.autograd.backward(
                losses.sum()
            )  # adapters share nothing, so that each gets the gradient of its own loss
            self.optimiser.step(self.stack.parameters, self._settings, self._rates())
            self._loss += losses.detach().cpu() * len(rows)
            self._correct += (logits.argmax(2) == targets.argmax(2)).sum(1).cpu()
            self._seen += len(rows)
        self._passed += 1

    def end_epoch(self, epoch: int) -> list[EpochResult]:
        """The figures of every trial; `seconds` is left to whoever keeps the time."""
        rates = self._rates() * self._settings.lr
        seen = max(self._seen, 1)
        figures = zip(self._loss.tolist(), self._correct.tolist(), rates.tolist(), strict=True)
        return [EpochResult(epoch, loss / seen, correct / seen, rate, 0.0) for loss, correct, rate in figures]

    def keep(self, trials: Sequence[Trial]) -> None:
        """Forget all trials but these."""
        index = [number for number, trial in enumerate(self.trials) if trial in trials]
        if len(index) == len(self.trials):
            return
        self.trials = [self.trials[number] for number in index]
        self.stack.pick(index)
        self.optimiser.pick(index)
        self._prepare()

    def model(self, trial: Trial) -> Adapter:
        """The trial's adapter as it is now, in evaluation mode."""
        trial.model.load_state_dict(self.stack.state(self.trials.index(trial)))
        return trial.model.to(self._device).eval()

    def state(self, number: int) -> dict[str, Tensor]:
        """All that the training of one trial goes on from, beside the epoch."""
        parts = {
            "adapter": self.stack.state(number),
            "first": {name: moments[number] for name, moments in self.optimiser.first.items()},
            "second": {name: moments[number] for name, moments in self.optimiser.second.items()},
            "random": {"mixup": self._generator.get_state()},
        }
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def load_moments(self, number: int, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`, but for the adapter: the group was built from it as it was."""
        for part, own in (("first", self.optimiser.first), ("second", self.optimiser.second)):
            for name, moments in own.items():
                moments[number].copy_(state[f"{part}/{name}"])
        self._generator.set_state(state["random/mixup"])

    @torch.no_grad()
    def _inputs(self, values: Mapping[str, Tensor]) -> Inputs:
        """What the stack reads: vectors that the loader holds, or what is made of the taps now."""
        if VECTORS in values:
            return values[VECTORS]
        taps = {tap: values[tap].float() for tap in self.first.taps_used}
        return self.first.pool(taps) if isinstance(self.first, PooledAdapter) else taps

    def _prepare(self) -> None:
        """What follows from which trials there are."""
        recipes = [trial.member.settings for trial in self.trials]
        self._epochs = [recipe.epochs for recipe in recipes]
        self._labels: Int64[Tensor, "adapters rows"] = torch.from_numpy(
            np.stack([trial.store.labels for trial in self.trials]) if self.trials else np.zeros((0, 0), np.int64)
        ).to(self._device)
        self._settings = Hyperparameters(
            *(
                torch.tensor([getattr(recipe, name) for recipe in recipes], dtype=torch.float32, device=self._device)
                for name in ("lr", "weight_decay", "label_smoothing", "clip")
            )
        )

    def _rates(self) -> Float[Tensor, " adapters"]:
        """Of each trial's peak, at its own place in its own schedule."""
        rates = [one_cycle(self._passed / (epochs * self._steps_per_epoch)) for epochs in self._epochs]
        return torch.tensor(rates, device=self._device)


def cross_entropy(
    logits: Float[Tensor, "adapters batch classes"],
    targets: Float[Tensor, "adapters batch classes"],
    smoothing: Float[Tensor, " adapters"],
) -> Float[Tensor, " adapters"]:
    """`torch.nn.functional.cross_entropy` with each adapter's own label smoothing."""
    share = smoothing[:, None, None]
    smooth = targets * (1 - share) + share / logits.shape[-1]
    return -(smooth * logits.log_softmax(-1)).sum(-1).mean(-1)
