"""The training loop: AdamW, one cycle, label smoothing, mixup of features."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters import Adapter, Recipe
from udta.errors import AdapterError

WARM_UP, START = 0.2, 0.04


@dataclass(frozen=True)
class EpochResult:
    """One line of `history.csv`: mean training loss and accuracy (with mixup: of the larger part), the last learning rate."""

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


class BatchSource(Protocol):
    """Something that gives a new epoch of batches on every `iter()`, such as a `FeatureLoader`."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __len__(self) -> int: ...


def fit(
    adapter: Adapter,
    batches: BatchSource,
    *,
    recipe: Recipe,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[EpochResult], None] | None = None,
) -> None:
    """Train `adapter` in place; it ends in evaluation mode on `device`.

    Raises:
        AdapterError: the loss is not finite any more.
    """
    started = time.perf_counter()
    adapter.to(device).train()
    optimiser = torch.optim.AdamW(_groups(adapter, recipe.weight_decay), lr=recipe.lr)
    n_steps = recipe.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step / n_steps))
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(1, recipe.epochs + 1):
        loss_sum = correct = seen = 0.0
        for batch in batches:
            if len(batch.labels) > 1:  # BatchNorm has no statistics of a single sample
                loss, hits = _step(adapter, optimiser, batch, recipe, generator)
                loss_sum, correct, seen = loss_sum + loss * len(batch.labels), correct + hits, seen + len(batch.labels)
            schedule.step()
        result = EpochResult(
            epoch,
            loss_sum / max(seen, 1),
            correct / max(seen, 1),
            float(schedule.get_last_lr()[0]),
            time.perf_counter() - started,
        )
        if on_epoch:
            on_epoch(result)
        if not result.loss < float("inf"):
            raise AdapterError(
                f"training diverged in epoch {epoch} (loss {result.loss}); try a lower learning rate than {recipe.lr}"
            )
    adapter.eval()


def one_cycle(progress: float) -> float:
    """The learning rate as a fraction of its peak, at `progress` from 0 to 1: a rise over the first fifth, then a cosine to 0.

    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120, with a cosine as in most implementations.
    """
    if progress < WARM_UP:
        return START + (1 - START) * progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))


def _step(
    adapter: Adapter, optimiser: torch.optim.Optimizer, batch: Batch, recipe: Recipe, generator: torch.Generator
) -> tuple[float, float]:
    """One update; returns the loss and how many of the batch were right."""
    targets = F.one_hot(batch.labels, adapter.n_classes).float()
    taps: Mapping[str, Tensor] = batch.taps
    if recipe.mixup > 0:
        taps, targets = mix(taps, targets, recipe.mixup, generator)
    logits = adapter(taps)
    loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(adapter.parameters(), recipe.clip)
    optimiser.step()
    return loss.item(), (logits.argmax(1) == targets.argmax(1)).sum().item()


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
