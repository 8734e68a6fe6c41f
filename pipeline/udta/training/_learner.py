"""What learns in a training: adapters that take their steps together, and all that changes with a step.

Single training has one adapter; a sweep has many of one architecture in one vectorised function (`udta.training.sweep`). Both
take the same step, so that an adapter of a sweep is the one that `train` would make of it, up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Float64, Int64, Num
from torch import Tensor

from udta.adapters import Adapter, PooledAdapter, Recipe
from udta.adapters.optimiser import Optimiser, one_cycle
from udta.tasks import Task
from udta.training._imbalance import Balance
from udta.training.sources import VECTORS


@dataclass(frozen=True)
class EpochResult:
    """One line of `history.csv`: mean training loss and accuracy (with mixup: of the larger part), the last learning rate.

    The accuracy is what the task calls right: of several labels the share that are, of numbers the share of the variance that is
    explained. A closed form has one epoch without a learning rate; its loss and accuracy are those on images that it left out.
    """

    epoch: int
    loss: float
    accuracy: float
    lr: float
    seconds: float


class Batch(Protocol):
    """What a step is taken on: values by tap, or `VECTORS` alone; labels; rows of the store."""

    @property
    def taps(self) -> Mapping[str, Float[Tensor, "batch ..."]]: ...
    @property
    def labels(self) -> Num[Tensor, "batch ..."]: ...
    @property
    def rows(self) -> Int64[Tensor, "batch ..."]: ...


class Model(Protocol):
    """Adapters as one function of a batch.

    `parameters` are leaves by name; where it is `vectorised` the adapters are their first axis, otherwise it is of one adapter.
    """

    vectorised: bool

    @property
    def task(self) -> Task: ...
    @property
    def taps_used(self) -> tuple[str, ...]: ...
    @property
    def parameters(self) -> Mapping[str, Tensor]: ...
    def __call__(self, values: Mapping[str, Tensor]) -> Float[Tensor, "adapters batch classes"]: ...
    def targets(self, labels: Num[Tensor, ...]) -> Float[Tensor, "... classes"]:
        """What logits are trained to be; where it is `vectorised`, labels are standardised before."""

    def state(self, number: int) -> Mapping[str, Tensor]:
        """The `state_dict` of one adapter."""


class OneAdapter:
    """A single adapter as a `Model`."""

    vectorised = False

    def __init__(self, adapter: Adapter) -> None:
        self._adapter, self.task = adapter, adapter.task
        self.parameters = {name: value for name, value in adapter.named_parameters() if value.requires_grad}

    @property
    def taps_used(self) -> tuple[str, ...]:
        """Those that it reads."""
        return self._adapter.taps_used

    def __call__(self, values: Mapping[str, Tensor]) -> Float[Tensor, "adapters batch classes"]:
        """Its logits, as those of the first of one adapters."""
        if VECTORS in values:
            assert isinstance(self._adapter, PooledAdapter)
            return self._adapter.classify(values[VECTORS])[None]
        logits = self._adapter.training_logits(values)
        return logits[None]  # a view: nothing is copied, and the gradient has the same bits

    def targets(self, labels: Num[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Its own."""
        return self._adapter.targets(labels)

    def state(self, number: int) -> dict[str, Tensor]:
        """Of it: there is no other."""
        assert number == 0
        return dict(self._adapter.state_dict())


@dataclass
class Progress:
    """Where a training is.

    `epoch` counts from 1; `batches` were shown, of which those of a single sample gave no step; `loss`, `correct` and `seen`
    are this epoch's sums so far, by adapter; `seconds` of wall and processor time so far, of all processes that took part.
    """

    loss: Float64[Tensor, " adapters"]
    correct: Float64[Tensor, " adapters"]
    seen: int = 0
    epoch: int = 1
    batches: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @classmethod
    def at_start(cls, n_adapters: int, device: torch.device) -> Progress:
        """Nothing was shown yet."""
        return cls(
            torch.zeros(n_adapters, dtype=torch.float64, device=device),
            torch.zeros(n_adapters, dtype=torch.float64, device=device),
        )

    def add(self, losses: Tensor, correct: Tensor, samples: int) -> None:
        """One step: by adapter its mean loss and how many were right."""
        # The sums stay on the device, which need not be waited for.
        # float64: the mean of 10,000 batches in float32 would have lost the digits that history.csv shows.
        self.loss = self.loss + losses.detach().double() * samples
        self.correct = self.correct + correct
        self.seen += samples
        self.steps += 1

    def next_epoch(self) -> None:
        """Its sums start at zero."""
        self.epoch, self.seen = self.epoch + 1, 0
        self.loss, self.correct = torch.zeros_like(self.loss), torch.zeros_like(self.correct)

    def to_json(self) -> dict[str, Any]:
        """Python writes floats so that they come back with the same bits."""
        return {**vars(self), "loss": self.loss.tolist(), "correct": self.correct.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], device: torch.device) -> Progress:
        """The inverse of `to_json`."""
        loss = torch.tensor(document["loss"], dtype=torch.float64, device=device)
        correct = torch.tensor(document["correct"], dtype=torch.float64, device=device)
        return cls(**{**document, "loss": loss, "correct": correct})


class Learner:
    """Adapters that step together, each as its own recipe says; what they share are mixup and batch size.

    Args:
        model: the adapters.
        recipes: of each of them.
        balances: what each makes up for rare classes; all of one number of classes.
        n_batches: of an epoch.
        seed: of mixup.
        device: where they are.
    """

    def __init__(
        self,
        model: Model,
        recipes: Sequence[Recipe],
        balances: Sequence[Balance],
        *,
        n_batches: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.device, self.recipes, self._model = device, list(recipes), model
        self._n_classes, self._n_batches = len(balances[0].weights), n_batches
        self._weights, self._log_priors = (
            torch.stack([getattr(balance, name) for balance in balances]).to(device)[:, None]
            for name in ("weights", "log_prior")
        )
        self.optimiser = Optimiser(model.parameters, recipes, vectorised=model.vectorised)
        # One generator for all epochs, beside torch's own: what an adapter draws in its steps does not move it.
        self._generator = torch.Generator().manual_seed(seed)
        self.progress = Progress.at_start(len(self.recipes), device)
        self._smooth()

    def step(self, batch: Batch) -> None:
        """One update of every adapter."""
        targets, task = self.targets_of(batch), self._model.task
        n_samples = targets.shape[1]
        if n_samples > 1:  # BatchNorm has no statistics of a single sample
            values, mixup = batch.taps, self.recipes[0].mixup
            if mixup > 0:
                # A batch that several groups of a sweep are shown has taps that these adapters do not read.
                values = {tap: value for tap, value in values.items() if tap in self._model.taps_used}
                values, targets = mix(values, targets, mixup, self._generator)
            logits = self._model(values)
            aims = targets * self._kept + self._spread
            if task.exclusive:
                # Of a sample as a whole, smoothed or mixed: 1 where nothing is weighted, which changes no bit.
                aims = aims * (targets * self._weights).sum(2, keepdim=True)
            losses = task.losses(logits + self._log_priors, aims)
            # Adapters share no parameter, so each gets the gradient of its own loss from that of the sum.
            torch.autograd.backward(losses.sum())
            self.optimiser.step(self._done())
            self.progress.add(losses, task.right(logits.detach(), targets), n_samples)
        # Also of a batch without a step: the schedule counts what was shown.
        self.progress.batches += 1

    def targets_of(self, batch: Batch) -> Float[Tensor, "adapters batch classes"]:
        """What each adapter shall say."""
        return self._model.targets(batch.labels)[None]

    def epoch_results(self) -> list[EpochResult]:
        """The figures of every adapter in this epoch so far; `seconds` are left to whoever keeps the time."""
        seen = max(self.progress.seen, 1)
        # After the last step, of the next one: what a scheduler of torch says at this moment.
        rates = [recipe.lr * one_cycle(done) for recipe, done in zip(self.recipes, self._done(), strict=True)]
        figures = zip(self.progress.loss.tolist(), self.progress.correct.tolist(), rates, strict=True)
        return [
            EpochResult(self.progress.epoch, loss / seen, correct / seen, rate, 0.0) for loss, correct, rate in figures
        ]

    def state(self, number: int) -> dict[str, Tensor]:
        """All that the training of one adapter goes on from, beside `progress` and what torch's own generators draw."""
        return {
            **{f"adapter/{name}": value for name, value in self._model.state(number).items()},
            **self.optimiser.state(number),
            "random/mixup": self._generator.get_state(),
        }

    def load(self, number: int, state: Mapping[str, Tensor], progress: Progress) -> None:
        """The inverse of `state`, but for the adapter itself, which is loaded before a model is made of it."""
        self.progress = progress
        self.optimiser.load(number, state, progress.steps)
        self._generator.set_state(state["random/mixup"])

    def keep(self, kept: Sequence[int]) -> None:
        """Forget all adapters but these, of which the model has only these by now; between two epochs."""
        self.recipes = [self.recipes[number] for number in kept]
        self.optimiser.pick(kept, self._model.parameters)
        self.progress.loss, self.progress.correct = self.progress.loss[list(kept)], self.progress.correct[list(kept)]
        self._weights, self._log_priors = self._weights[list(kept)], self._log_priors[list(kept)]
        self._smooth()

    def _done(self) -> list[float]:
        """How much of its training each adapter has behind it: a sweep's adapters may have epochs of their own number."""
        return [self.progress.batches / (recipe.epochs * self._n_batches) for recipe in self.recipes]

    def _smooth(self) -> None:
        """What label smoothing leaves of a target, and what it adds to each."""
        smoothed = (self._model.task.smoothing(recipe.label_smoothing, self._n_classes) for recipe in self.recipes)
        self._kept, self._spread = (
            torch.tensor(each, device=self.device)[:, None, None] for each in zip(*smoothed, strict=True)
        )


def mix(
    taps: Mapping[str, Tensor],
    targets: Float[Tensor, "*adapters batch classes"],
    strength: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], Float[Tensor, "*adapters batch classes"]]:
    """Mixup in feature space (Zhang et al. 2018, arXiv 1710.09412): maps and targets of two samples, the same weight for all."""
    concentration = torch.full((2,), strength)
    # The function below `torch.distributions.Beta`, which takes no generator.
    weights = torch._sample_dirichlet(concentration, generator=generator)
    # The larger weight for the sample itself, so that its class is the one that accuracy counts.
    lam = float(weights.max())
    other = torch.randperm(targets.shape[-2], generator=generator).to(targets.device)
    mixed = {tap: torch.lerp(values[other].float(), values.float(), lam) for tap, values in taps.items()}
    return mixed, torch.lerp(targets[..., other, :], targets, lam)
