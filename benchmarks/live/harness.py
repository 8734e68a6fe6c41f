"""Training and testing a live rival: one loop for all of them, resumable after every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from benchmarks.live.checkpoint import load, save
from benchmarks.live.photographs import Photographs
from benchmarks.live.rival import LiveRecipe, Rival
from udta._machine.memory import freed_memory_kept
from udta.adapters.optimiser import one_cycle
from udta.backbones import Backbone
from udta.tasks.classification_metrics import classification_metrics

TEST_BATCH = 64


@dataclass
class Progress:
    """What training took so far. On a shared machine `cpu_seconds` / cores is the time it would take alone."""

    epochs: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)


def train(
    rival: Rival,
    recipe: LiveRecipe,
    backbone: Backbone,
    photographs: Photographs,
    rows: np.ndarray,
    work: Path,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[nn.Module, Progress]:
    """The trained network and what it took; goes on from the last whole epoch that `work` holds.

    Order, dropout and views of an epoch depend on (seed, epoch) alone, so that a resumed run does what an uninterrupted one does.
    The allocator keeps freed memory, as where we compute: it saves a rival an eighth of its time.
    """
    torch.manual_seed(seed)
    model = rival.build(backbone, photographs.n_classes).to(device)
    optimiser = recipe.optimiser([each for each in model.parameters() if each.requires_grad], recipe.lr)
    progress = Progress(**load(work, model, optimiser))
    steps = math.ceil(len(rows) / recipe.batch_size)
    with freed_memory_kept(device):
        while progress.epochs < recipe.epochs:
            epoch = progress.epochs + 1
            torch.manual_seed(1000 * seed + epoch)
            order = np.random.default_rng([seed, epoch]).permutation(rows)
            cpu, wall, total = time.process_time(), time.perf_counter(), 0.0
            model.train()
            for step, (images, labels) in enumerate(photographs.batches(order, epoch, recipe.batch_size)):
                for group in optimiser.param_groups:
                    group["lr"] = recipe.lr * one_cycle(((epoch - 1) * steps + step) / (recipe.epochs * steps))
                total += _step(model, optimiser, images.to(device), labels.to(device), recipe) * len(labels)
            progress.cpu_seconds += time.process_time() - cpu
            progress.wall_seconds += time.perf_counter() - wall
            progress.losses.append(total / len(rows))
            progress.epochs = epoch
            save(work, model, optimiser, asdict(progress))
            print(
                f"{rival.name} lr {recipe.lr:g} epoch {epoch}/{recipe.epochs} loss {progress.losses[-1]:.3f} "
                f"cpu {progress.cpu_seconds:.0f} s wall {progress.wall_seconds:.0f} s",
                flush=True,
            )
    return model.eval(), progress


def _step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: LiveRecipe,
) -> float:
    loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimiser.step()
    return loss.item()


def evaluate(model: nn.Module, photographs: Photographs, rows: np.ndarray, views: Sequence[int]) -> dict[str, Any]:
    """`classification_metrics` of the first view, and top-1 with the log-probabilities of the first n views averaged."""
    parts, device = [], next(model.parameters()).device
    with torch.inference_mode():
        for view in views:
            logits = [model(images.to(device)).cpu() for images, _ in photographs.batches(rows, view, TEST_BATCH)]
            parts.append(torch.cat(logits).log_softmax(dim=1).numpy())
    log_probabilities, labels = np.stack(parts, axis=1), photographs.labels[rows]
    by_views = {
        str(n): classification_metrics(log_probabilities[:, :n], labels)["top1_views"] for n in range(1, len(views) + 1)
    }
    metrics = classification_metrics(log_probabilities, labels)
    loss = -log_probabilities[np.arange(len(rows)), 0, labels].mean()
    return {**metrics, "top1_by_views": by_views, "loss": float(loss)}
