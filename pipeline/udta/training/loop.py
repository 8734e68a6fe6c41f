"""The training loop: what is solved, then epochs of steps, then the temperature."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

from udta._console.progress import announce
from udta._machine.cores import one_thread
from udta._machine.device import own_randomness
from udta._machine.memory import freed_memory_kept
from udta.adapters import Adapter, PooledAdapter, Recipe, Samples
from udta.errors import AdapterError
from udta.loader import FeatureLoader
from udta.training._checkpoint import Checkpoints
from udta.training._imbalance import Balance, prior_of
from udta.training._learner import Batch, EpochResult, Learner, OneAdapter
from udta.training._temperature import Without, left_out_logits, rows_to_leave_out
from udta.training.sources import VECTORS, EveryView, check_features, pool_views


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
    resolved = torch.device(device)
    # Freed memory is kept, because every step frees what the next one takes: given back, its pages are zeroed anew each time.
    with freed_memory_kept(resolved.type), own_randomness(seed, resolved):
        try:
            _fit(adapter.to(resolved).train(), batches, recipe, every_view, seed, resolved, on_epoch, checkpoints)
            # A closed form has no loss that would tell.
            if not all(values.isfinite().all() for values in adapter.state_dict().values()):
                raise AdapterError(f"adapter {adapter.name!r} holds numbers that are not finite")
        except (AdapterError, RuntimeError):  # the latter from linear algebra
            # Nearly always it is a feature: then the image is named, instead of a learning rate.
            check_features(adapter, every_view)
            raise
        finally:
            if isinstance(batches, FeatureLoader):
                batches.release()  # the vectors or features that it holds: the caller may keep the loader
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
    balance = _balance(adapter, batches, recipe, every_view)
    if adapter.task.in_units:
        adapter.learn_units(_labels(batches, every_view).to(device))
    solved = adapter.solve(every_view)
    if solved is not None:
        # It has no loss to take the shares of classes from: what it says of them is taken away afterwards.
        adapter.adjustment.copy_(-balance.log_prior)
        if on_epoch:
            on_epoch(EpochResult(1, solved.loss, solved.accuracy, 0.0, time.perf_counter() - started))
        return
    # What the temperature is found with begins as this one does; a checkpoint would bring it to where this one is.
    like = copy.deepcopy(adapter)
    learner = _learner(adapter, recipe, balance, len(batches), seed, device)
    if checkpoints:
        checkpoints.resume(adapter, learner)
    pooled = _hold_vectors(adapter, batches, every_view, recipe)
    with _few_threads(adapter, recipe, pooled):
        _epochs(learner, batches, on_epoch, checkpoints)
    set_temperature(adapter, like, batches, recipe, every_view, seed, device, pooled=pooled)


def _balance(adapter: Adapter, batches: BatchSource, recipe: Recipe, every_view: Iterable[Samples]) -> Balance:
    """What the recipe makes up for rare classes, of a store's rows or of arrays."""
    if isinstance(batches, FeatureLoader):
        return Balance.of(recipe, batches.store.labels[batches.rows], batches.store.classes)
    # Of arrays classes have numbers alone, and samples are counted only where something depends on it.
    labels = [batch.labels.cpu().numpy() for batch in every_view] if prior_of(recipe) != "training" else []
    return Balance.of(recipe, np.concatenate([np.empty(0, np.int64), *labels]), [*map(str, range(adapter.n_classes))])


def _labels(batches: BatchSource, every_view: Iterable[Samples]) -> Num[Tensor, "images ..."]:
    """Of all that is trained on."""
    if isinstance(batches, FeatureLoader):
        return torch.from_numpy(batches.store.labels[batches.rows])
    return torch.cat([batch.labels for batch in every_view])


def take_steps(
    learners: Sequence[Learner], batches: Iterable[Batch], after_each: Callable[[], None] | None = None
) -> dict[Learner, float]:
    """One epoch: each batch is read once, and every learner takes a step on it. The seconds that each one's steps took."""
    seconds = dict.fromkeys(learners, 0.0)
    for batch in batches:
        for learner in learners:
            started = time.perf_counter()
            learner.step(batch)
            seconds[learner] += time.perf_counter() - started
        if after_each:
            after_each()
    return seconds


def _few_threads(adapter: Adapter, recipe: Recipe, pooled: bool) -> AbstractContextManager[None]:
    """Steps on vectors are small: two products forward and backward. On maps every thread has enough to do."""
    return one_thread(4 * recipe.batch_size * adapter.n_parameters) if pooled else nullcontext()


def _learner(
    adapter: Adapter, recipe: Recipe, balance: Balance, n_batches: int, seed: int, device: torch.device
) -> Learner:
    return Learner(OneAdapter(adapter), [recipe], [balance], n_batches=n_batches, seed=seed, device=device)


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
    """Train `like`, as `adapter` was before its steps, without some images, which give temperature and thresholds.

    From vectors in memory (`pooled`) this costs the steps a second time, but no pooling. An adapter that cannot have vectors, for
    which every step reads taps, is trained for a quarter of the epochs.
    """
    if not adapter.task.calibrated:
        return
    out = rows_to_leave_out(adapter.task, batches, every_view, seed, device)
    if not out.any():  # one image a class: the temperature stays 1
        return
    vectors = isinstance(like, PooledAdapter) and not recipe.mixup  # whether or not there was room for them
    short = recipe if vectors else replace(recipe, epochs=math.ceil(recipe.epochs / 4))
    if isinstance(batches, FeatureLoader):
        batches.epoch = recipe.epochs  # the same views and order whether the training was interrupted or not
    # Seeded again: where the first training ended, killed or not, plays no part in the second.
    balance = _balance(like, batches, recipe, every_view)
    with own_randomness(seed, device), _few_threads(like, recipe, pooled):
        learner = _learner(like, short, balance, len(batches), seed, device)
        _epochs(learner, Without(batches, out), what="epochs for the temperature")
    logits, labels = left_out_logits(like.eval(), batches, every_view, out, device)
    adapter.calibrate(logits.to(device), labels.to(device), balance.importance)


def _epochs(
    learner: Learner,
    batches: BatchSource,
    on_epoch: Callable[[EpochResult], None] | None = None,
    checkpoints: Checkpoints | None = None,
    what: str = "epochs",
) -> None:
    """Those that are left of one adapter's training."""
    progress, recipe = learner.progress, learner.recipes[0]
    started, cpu_started = time.perf_counter() - progress.seconds, time.process_time() - progress.cpu_seconds

    def after_each() -> None:
        progress.seconds, progress.cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        if checkpoints:
            checkpoints.offer(learner)

    announce(what, progress.epoch - 1, recipe.epochs)
    while progress.epoch <= recipe.epochs:
        take_steps([learner], batches, after_each)
        result = replace(learner.epoch_results()[0], seconds=time.perf_counter() - started)
        announce(what, result.epoch, recipe.epochs, f"loss {result.loss:.3f}")
        if on_epoch:
            on_epoch(result)  # before the check: the line of the epoch that diverged is in history.csv
        if not result.loss < math.inf:  # NaN is not less either
            raise AdapterError(
                f"training diverged in epoch {result.epoch} (loss {result.loss}); try a lower learning rate than {recipe.lr}"
            )
        progress.next_epoch()
