"""Adapters that are trained together: one architecture, one set of rows, one batch size; everything else may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters import Adapter, PooledAdapter
from udta.fitting import VECTORS
from udta.loader import Batch
from udta.schedule import one_cycle
from udta.sweeping.optimiser import Hyperparameters, StackedAdamW
from udta.sweeping.stack import Inputs, Stack
from udta.sweeping.trial import Trial
from udta.trainer import EpochResult, mix

# Adapters that step together, by kind of device. On two cores, an epoch of 32 `udta` takes 0.73 s of processor time four at a
# time, 0.52 s eight, 0.54 s sixteen, 0.49 s all at once, but what many compute no longer fits the caches that others use too. A
# GPU waits for launches, which are as many for one adapter as for all.
CHUNK = {"cpu": 8, "cuda": 32}


def group_key(trial: Trial) -> tuple[Any, ...]:
    """Trials with the same key may be in one group.

    Mixup is a part of it because its maps are the input of all adapters of a group.
    """
    model, recipe = trial.model, trial.member.settings
    return (
        model.name,
        repr(sorted(model.options.items())),
        tuple(model.taps.items()),
        model.n_classes,
        recipe.mixup,
        recipe.batch_size,
        trial.rows.tobytes(),
    )


class Group:
    """As many trials as `CHUNK` says, with one `group_key`, and where their training is."""

    def __init__(self, trials: Sequence[Trial], steps_per_epoch: int, device: str) -> None:
        self.trials, self._device = list(trials), device
        self.first = trials[0].model.to(device)  # as it is before the first step: all of the group pool alike
        self.mixup = trials[0].member.settings.mixup
        example = {tap: torch.zeros(2, *self.first.taps[tap], device=device) for tap in self.first.taps_used}
        self.stack = Stack([trial.model.to(device) for trial in trials], self._inputs(example))
        self.optimiser = StackedAdamW(self.stack.parameters)
        self._steps_per_epoch, self._passed = steps_per_epoch, 0
        self._prepare()

    def begin_epoch(self, seed: int) -> None:
        """Sums at zero; mixup draws from a seed of the epoch's own, so that a continued training draws the same."""
        size = len(self.trials)
        self._loss, self._correct, self._seen = torch.zeros(size), torch.zeros(size), 0
        self._generator = torch.Generator().manual_seed(seed)

    def step(self, batch: Batch) -> None:
        """One update of every adapter."""
        if len(batch) > 1:  # BatchNorm has no statistics of a single sample
            labels = self._labels[:, batch.rows.cpu()].to(self._device)
            targets = F.one_hot(labels, self.trials[0].model.n_classes).float()
            values: Mapping[str, Tensor] = batch.taps
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
            self._loss += losses.detach().cpu() * len(batch)
            self._correct += (logits.argmax(2) == targets.argmax(2)).sum(1).cpu()
            self._seen += len(batch)
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

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that training goes on from: tensors by name, and plain values."""
        parts: Mapping[str, Mapping[str, Tensor]] = self._parts()
        tensors = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        names = [trial.member.name for trial in self.trials]
        return tensors, {"trials": names, "steps": self.optimiser.steps, "passed": self._passed}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """The inverse of `state`, in a group that was built from the same trials."""
        self.keep([trial for trial in self.trials if trial.member.name in values["trials"]])
        self.optimiser.steps, self._passed = values["steps"], values["passed"]
        with torch.no_grad():
            for part, own in self._parts().items():
                for name, value in own.items():
                    value.copy_(tensors[f"{part}/{name}"])

    @torch.no_grad()
    def _inputs(self, values: Mapping[str, Tensor]) -> Inputs:
        """What the stack reads: vectors that the loader holds, or what is made of the taps now."""
        if VECTORS in values:
            return values[VECTORS]
        taps = {tap: values[tap].float() for tap in self.first.taps_used}
        return self.first.pool(taps) if isinstance(self.first, PooledAdapter) else taps

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        return {
            "parameters": self.stack.parameters,
            "buffers": self.stack.buffers,
            "first": self.optimiser.first,
            "second": self.optimiser.second,
        }

    def _prepare(self) -> None:
        """What follows from which trials there are."""
        recipes = [trial.member.settings for trial in self.trials]
        self._epochs = [recipe.epochs for recipe in recipes]
        self._labels: Int64[Tensor, "adapters rows"] = torch.from_numpy(
            np.stack([trial.store.labels for trial in self.trials]) if self.trials else np.zeros((0, 0), np.int64)
        )
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
