"""The training loop: AdamW, one cycle, label smoothing, mixup of features."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta._console.progress import announce
from udta._machine.cores import one_thread
from udta._machine.device import own_randomness
from udta._machine.memory import freed_memory_kept
from udta.adapters import Adapter, PooledAdapter, Recipe, Samples
from udta.adapters.schedule import one_cycle
from udta.errors import AdapterError
from udta.loader import FeatureLoader
from udta.training.checkpoint import Checkpoints, Learner
from udta.training.held_out import Without, rows_to_leave_out, temperature_from
from udta.training.sources import VECTORS, EveryView, check_features, pool_views

Forward = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class EpochResult:
    """One line of `history.csv`: mean training loss and accuracy (with mixup: of the larger part), the last learning rate.

    A closed form has one epoch without a learning rate; its loss and accuracy are those on images that it left out.
    """

    epoch: int
    loss: float
    accuracy: float
    lr: float
    seconds: float


class Batch(Protocol):
    """What a source yields."""

    @property
    def taps(self) -> Mapping[str, Float[Tensor, "batch ..."]]: ...  # noqa: D102
    @property
    def labels(self) -> Int64[Tensor, " batch"]: ...  # noqa: D102
    @property
    def rows(self) -> Int64[Tensor, " batch"]: ...  # noqa: D102


class BatchSource(Protocol):
    """Something that gives a new epoch of batches on every `iter()`, such as a `FeatureLoader`."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __len__(self) -> int: ...


def fit(
    adapter: Adapter,
    batches: BatchSource,
    *,
    recipe: Recipe,
    every_view: Iterable[Samples] = (),
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[EpochResult], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Train `adapter` in place; it ends in evaluation mode on `device`. The random state of torch is left as it was.

    Args:
        adapter: what to train.
        batches: what gradient steps are taken on. Where the adapter pools features to vectors, both sources are of a store and
            the vectors fit into memory, they are computed once and every epoch is taken from them.
        recipe: how they are taken.
        every_view: every view of every row once, for adapters that are solved or prepared so; others read none of it.
        seed: of mixup, and of what the adapter draws itself.
        device: where to train.
        on_epoch: called after every epoch.
        checkpoints: where to go on from; one is offered after every step.

    Raises:
        AdapterError: the loss is not finite any more.
        FeatureError: features are not finite; the first such image is named.
    """
    place = torch.device(device)
    with freed_memory_kept(place.type), own_randomness(seed, place):
        try:
            _fit(adapter.to(place).train(), batches, recipe, every_view, seed, place, on_epoch, checkpoints)
            if not all(values.isfinite().all() for values in adapter.state_dict().values()):
                raise AdapterError(f"adapter {adapter.name!r} holds numbers that are not finite")
        except (AdapterError, RuntimeError):  # the latter from linear algebra
            check_features(adapter, every_view)
            raise
        finally:
            if isinstance(batches, FeatureLoader):
                batches.release()
    adapter.eval()


def _fit(
    adapter: Adapter,
    batches: BatchSource,
    recipe: Recipe,
    every_view: Iterable[Samples],
    seed: int,
    device: torch.device,
    on_epoch: Callable[[EpochResult], None] | None,
    checkpoints: Checkpoints | None,
) -> None:
    started = time.perf_counter()
    solved = adapter.solve(every_view)
    if solved is not None:
        if on_epoch:
            on_epoch(EpochResult(1, solved.loss, solved.accuracy, 0.0, time.perf_counter() - started))
        return
    # What the temperature is found with begins as this one does.
    like = copy.deepcopy(adapter)
    learner = _learner(adapter, recipe, len(batches), seed, device)
    if checkpoints:
        checkpoints.resume(learner)
    pooled = _hold_vectors(adapter, batches, every_view, recipe)
    with _few_threads(adapter, recipe, pooled):
        _run(learner, _forward(adapter, pooled), batches, recipe, on_epoch, checkpoints)
    set_temperature(adapter, like, batches, recipe, every_view, seed, device, pooled=pooled)


def _few_threads(adapter: Adapter, recipe: Recipe, pooled: bool) -> AbstractContextManager[None]:
    """Steps on vectors are small: two products forward and backward. On maps every thread has enough to do."""
    return one_thread(4 * recipe.batch_size * adapter.n_parameters) if pooled else nullcontext()


def _learner(adapter: Adapter, recipe: Recipe, n_batches: int, seed: int, device: torch.device) -> Learner:
    optimiser = torch.optim.AdamW(_groups(adapter, recipe.weight_decay), lr=recipe.lr, fused=True)
    n_steps = recipe.epochs * n_batches
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step / n_steps))
    return Learner(adapter, optimiser, schedule, torch.Generator().manual_seed(seed), device)


def _hold_vectors(adapter: Adapter, batches: BatchSource, every_view: Iterable[Samples], recipe: Recipe) -> bool:
    """Let the source give vectors from now on where they can be computed once; whether it does.

    Not with mixup: that mixes features, and what is pooled of a mixture is not the mixture of what is pooled.
    """
    if (
        not recipe.mixup
        and isinstance(adapter, PooledAdapter)
        and isinstance(batches, FeatureLoader)
        and isinstance(every_view, EveryView)
        and (vectors := pool_views(adapter, every_view, batches.memory_budget)) is not None
    ):
        batches.hold({VECTORS: vectors})
        return True
    return False


def _forward(adapter: Adapter, pooled: bool) -> Forward:
    """From the values of a batch to logits."""
    if not pooled:
        return adapter
    assert isinstance(adapter, PooledAdapter)
    return lambda values: adapter.classify(values[VECTORS])


def set_temperature(
    adapter: Adapter,
    like: Adapter,
    batches: BatchSource,
    recipe: Recipe,
    every_view: Iterable[Samples],
    seed: int,
    device: torch.device,
    *,
    pooled: bool,
) -> None:
    """Train `like`, as `adapter` was before its steps, without some images: what it says of them gives the temperature.

    From vectors in memory (`pooled`) this costs the steps a second time, but no pooling. An adapter that cannot have vectors, for
    which every step reads taps, is trained for a quarter of the epochs.
    """
    out = rows_to_leave_out(batches, every_view, seed, device)
    if not out.any():
        return
    vectors = isinstance(like, PooledAdapter) and not recipe.mixup  # whether or not there was room for them
    short = recipe if vectors else replace(recipe, epochs=math.ceil(recipe.epochs / 4))
    if isinstance(batches, FeatureLoader):
        batches.epoch = recipe.epochs  # the same views and order whether the training was interrupted or not
    with own_randomness(seed, device), _few_threads(like, recipe, pooled):
        learner = _learner(like, short, len(batches), seed, device)
        _run(learner, _forward(like, pooled), Without(batches, out), short, None, None, "epochs for the temperature")
    adapter.temperature.fill_(temperature_from(like.eval(), batches, every_view, out, device))


def _run(
    learner: Learner,
    forward: Forward,
    batches: BatchSource,
    recipe: Recipe,
    on_epoch: Callable[[EpochResult], None] | None,
    checkpoints: Checkpoints | None,
    what: str = "epochs",
) -> None:
    """The epochs that are left."""
    progress = learner.progress
    started, cpu_started = time.perf_counter() - progress.seconds, time.process_time() - progress.cpu_seconds
    announce(what, progress.epoch - 1, recipe.epochs)
    while progress.epoch <= recipe.epochs:
        for batch in batches:
            if len(batch.labels) > 1:  # BatchNorm has no statistics of a single sample
                progress.add(*_step(learner, forward, batch, recipe))
            learner.schedule.step()
            progress.seconds, progress.cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
            if checkpoints:
                checkpoints.offer(learner)
        loss, accuracy = progress.means()
        rate = float(learner.schedule.get_last_lr()[0])
        result = EpochResult(progress.epoch, loss, accuracy, rate, time.perf_counter() - started)
        announce(what, result.epoch, recipe.epochs, f"loss {loss:.3f}")
        if on_epoch:
            on_epoch(result)
        if not loss < float("inf"):
            raise AdapterError(
                f"training diverged in epoch {result.epoch} (loss {loss}); try a lower learning rate than {recipe.lr}"
            )
        progress.next_epoch()


def _step(learner: Learner, forward: Forward, batch: Batch, recipe: Recipe) -> tuple[Tensor, Tensor, int]:
    """One update; returns the loss, how many of the batch were right, and how many it has."""
    adapter, optimiser = learner.adapter, learner.optimiser
    targets = F.one_hot(batch.labels, adapter.n_classes).float()
    taps: Mapping[str, Tensor] = batch.taps
    if recipe.mixup > 0:
        taps, targets = mix(taps, targets, recipe.mixup, learner.generator)
    logits = forward(taps)
    loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(adapter.parameters(), recipe.clip)
    optimiser.step()
    return loss, (logits.argmax(1) == targets.argmax(1)).sum(), len(targets)


def mix(
    taps: Mapping[str, Tensor],
    targets: Float[Tensor, "*adapters batch classes"],
    strength: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], Float[Tensor, "*adapters batch classes"]]:
    """Mixup in feature space (Zhang et al. 2018, arXiv 1710.09412): maps and targets of two samples, the same weight for all."""
    concentration = torch.full((2,), strength)
    weights = torch._sample_dirichlet(concentration, generator=generator)
    lam = float(weights.max())
    other = torch.randperm(targets.shape[-2], generator=generator).to(targets.device)
    mixed = {tap: torch.lerp(values[other].float(), values.float(), lam) for tap, values in taps.items()}
    return mixed, torch.lerp(targets[..., other, :], targets, lam)


def _groups(adapter: Adapter, weight_decay: float) -> list[dict[str, object]]:
    """Biases and BatchNorm parameters are not decayed."""
    parameters = [parameter for parameter in adapter.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
