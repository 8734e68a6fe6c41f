"""Directions that tell apart what is asked: learned for a few epochs beside a linear layer, which is then thrown away.

Principal directions are those that vary most, not those that differ between classes. Turning them by gradients for the first
fifth of an ordinary training is worth as much as training them all along, and afterwards what is pooled along them is a
constant of a sample again. They are turned within the space of the principal ones, so that all this sees of a map is the small
covariance matrix of its thin channels. Figures: docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta._console.progress import announce
from udta._machine.cores import one_thread
from udta._machine.device import own_randomness
from udta.adapters.base import Recipe
from udta.adapters.covariance import matrix_sqrt, square_of_triangle, upper_triangle
from udta.adapters.linear import LinearProbe
from udta.adapters.optimiser import Optimiser
from udta.adapters.samples import Gathered, views_of_images
from udta.tasks import Task

# A fifth of the epochs of `udta`. 10 are no better at any rate that was tried (docs/adapters.md).
EPOCHS = 5
# Times the learning rate of the linear layer. On photographs 3, 5 and 10 are alike; on rendered words whose font is to be told,
# 12 training images a class, they have 61.4, 61.8 and 62.8 % where principal directions have 57.9.
RATE = 5.0


def learn_turns(
    found: Gathered,
    n_averages: int,
    widths: Sequence[int],
    task: Task,
    targets: Float[Tensor, "samples outputs"],
    recipe: Recipe,
) -> list[Float[Tensor, "k k"]]:
    """Rows of unit length by tap: a turn times the directions before gives the ones to use. The same input gives the same turns.

    Args:
        found: of every sample the averages, then for each tap the upper triangle of the covariance of its thin channels.
        n_averages: how many averages there are.
        widths: k by tap.
        task: what is to be told.
        targets: of every sample.
        recipe: of the training that follows; it gives this one batch size, learning rate, weight decay, label smoothing and clip.
    """
    device = found.features.device
    triangles = [upper_triangle(k).to(device) for k in widths]
    squares = [square_of_triangle(k).to(device) for k in widths]
    sizes = [n_averages, *(len(triangle) for triangle in triangles)]
    turns = [torch.eye(k, device=device, requires_grad=True) for k in widths]
    # On the thread that asks: the products are too small to share (64 x 64 matrices, a batch of 64).
    with own_randomness(0, device), torch.enable_grad(), one_thread():
        probe = LinearProbe(sum(sizes), targets.shape[1]).to(device)
        kept, spread = task.smoothing(recipe.label_smoothing, targets.shape[1])
        aims = targets * kept + spread
        # All of them drawn beforehand: the schedule has to know how many there are.
        batches = list(_batches(found.images, recipe.batch_size))
        turned = {f"turn {number}": turn for number, turn in enumerate(turns)}
        optimiser = Optimiser({**dict(probe.named_parameters()), **turned}, [recipe], rates=dict.fromkeys(turned, RATE))
        for step, batch in enumerate(batches):
            averages, *covariances = torch.split(found.features[batch], sizes, dim=1)
            # Turning T and then the covariance of T Y is T K T': maps are not needed again.
            roots = [
                matrix_sqrt(unit @ covariance[:, square] @ unit.T).flatten(1)[:, triangle]
                for covariance, square, unit, triangle in zip(
                    covariances, squares, map(_unit, turns), triangles, strict=True
                )
            ]
            logits = probe(torch.cat([averages, *roots], dim=1))
            torch.autograd.backward(task.losses(logits[None], aims[batch][None])[0])
            optimiser.step([step / len(batches)])
            announce("steps of turning directions", step + 1, len(batches))
    # The layer beside them is thrown away: the training that follows starts at zero, on directions that stay.
    return [_unit(turn.detach()) for turn in turns]


def _batches(images: Int64[Tensor, " samples"], size: int) -> Iterator[Int64[Tensor, " batch"]]:
    """Sample numbers: every epoch takes each image once, in one of its views. BatchNorm has no statistics of a single sample."""
    counts = views_of_images(images)
    starts = counts.cumsum(0) - counts
    for _ in range(EPOCHS):
        # On the CPU and moved: a GPU would draw other numbers from the same seed.
        drawn = torch.rand(len(counts), dtype=torch.float64).to(counts.device)
        chosen = starts + (drawn * counts).long()
        order = torch.randperm(len(counts)).to(counts.device)
        yield from (batch for batch in torch.split(chosen[order], size) if len(batch) > 1)


def _unit(turn: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """Only the direction of a row matters: weight decay on its length does no more than to let it turn faster."""
    return F.normalize(turn, dim=1)
