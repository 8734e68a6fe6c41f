"""What `udta` reads of a set of images: which taps to second order, how much that weighs, and whether middle averages join.

Each set wants its own: of a transformer's blocks, early ones tell fonts apart, late ones birds, and textures want the averages of
all. Training a layer for every possibility would take many times the training itself. Ridge regression ranks them alike
(docs/adapters.md), and in its dual form one eigendecomposition of images times images tells how well each image is predicted by
the fit to all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Bool, Float, Float64, Int64, Num
from torch import Tensor

from udta.adapters.standardisation import standardisation
from udta.tasks import Task

# Eigenvalues of 512 x 512 take 0.1 s on one core, and some dozen possibilities are compared.
MOST_IMAGES = 512
# With fewer images of a class the one that is left out leaves too little behind to say anything.
FEWEST_OF_A_CLASS = 3
# The same of tasks without classes, of images in all: fewer differ by luck more than by what is read of them.
FEWEST_IMAGES = 30
# Of second-order taps together: a third one lowers the loss by 3 to 8 % on most sets, a fourth by nothing (docs/adapters.md).
MOST_TAPS = 3
# What the standardised second-order numbers are multiplied with.
WEIGHTS = (1.0, 0.5, 0.25)
_ALPHAS = torch.logspace(-4, 1, 11, dtype=torch.float64)  # times the mean of the kernel's diagonal
# Of how many standard errors images have to be predicted better for the default to be left: the smallest losses of a dozen
# possibilities are luck (on textures some chosen by less were worse than the default, docs/adapters.md).
_CLEARLY = 2.0


@dataclass(frozen=True)
class Choice:
    """Indices of the taps that are pooled to second order, the weight of these, and whether averages of middle taps are read."""

    second_order: tuple[int, ...]
    weight: float
    averages: bool


@dataclass(frozen=True)
class Fixed:
    """What the user has decided of a choice; None is left open."""

    second_order: tuple[int, ...] | None
    weight: float | None
    averages: bool | None

    @property
    def everything(self) -> bool:
        """Whether nothing is left open."""
        return self.second_order is not None and self.weight is not None and self.averages is not None

    def default(self, n_taps: int) -> Choice:
        """Taps spread over the depth, at the weight of all else, beside the averages of all."""
        return Choice(
            tuple(spread(n_taps, MOST_TAPS)) if self.second_order is None else self.second_order,
            1.0 if self.weight is None else self.weight,
            True if self.averages is None else self.averages,
        )


def spread(n: int, most: int) -> list[int]:
    """At most `most` of n indices, evenly, the last one among them."""
    return list(range(n)) if n <= most else [round(part * n / most) - 1 for part in range(1, most + 1)]


def images_to_look_at(labels: Int64[Tensor, " images"], n_classes: int) -> Bool[Tensor, " images"]:
    """Some hundred images, as many of one class as of another, always the same ones; none where classes have too few.

    Args:
        labels: the class of every image.
        n_classes: of how many.
    """
    of_a_class = max(FEWEST_OF_A_CLASS + 1, MOST_IMAGES // n_classes)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels.cpu()[order]
    # Where an image stands among those of its class: the first few of each are taken, classes one after the other.
    by_class = shuffled.argsort(stable=True)
    counts = torch.bincount(shuffled, minlength=n_classes)
    rank = torch.empty_like(order)
    rank[by_class] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[shuffled[by_class]]
    class_order = torch.randperm(n_classes, generator=generator)
    taken = (rank < of_a_class).nonzero()[:, 0]
    taken = taken[class_order[shuffled[taken]].argsort(stable=True)][:MOST_IMAGES]
    n_seen = int((torch.bincount(shuffled[taken]) > 0).sum())
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    if n_seen > 1 and len(taken) >= FEWEST_OF_A_CLASS * n_seen:
        chosen[order[taken]] = True
    return chosen


def any_images(n_images: int) -> Bool[Tensor, " images"]:
    """The same of a task without classes: some hundred of this many images, none where they are too few."""
    chosen = torch.zeros(n_images, dtype=torch.bool)
    if n_images >= FEWEST_IMAGES:
        chosen[torch.randperm(n_images, generator=torch.Generator().manual_seed(0))[:MOST_IMAGES]] = True
    return chosen


def choose(
    always: Float[Tensor, "images features"],
    averages: Sequence[Float[Tensor, "images _"]],
    roots: Sequence[Float[Tensor, "images _"]],
    regression: LeaveOut,
    fixed: Fixed,
) -> Choice:
    """The default, or what clearly has less loss of images that ridge regression has left out.

    Args:
        always: what is read in any case, standardised within as all that follows.
        averages: of every middle tap, which are read all or none.
        roots: second-order numbers of every tap that may be pooled.
        regression: of the labels of these images.
        fixed: what is not to be chosen.
    """
    default = fixed.default(len(roots))
    base, of_taps = _kernel([always]), [_kernel([each]) for each in roots]
    beside = _kernel(averages) if averages else torch.zeros_like(base)

    def losses(choice: Choice) -> Float[Tensor, " images"]:
        second = sum((of_taps[index] for index in choice.second_order), torch.zeros_like(base))
        return regression.losses(base + choice.weight**2 * second + choice.averages * beside)

    chosen, least = default, losses(default)

    def take(candidates: Iterable[Choice]) -> None:
        """The best of them, if it is clearly better."""
        nonlocal chosen, least
        # What is chosen already is known, and never clearly better than itself.
        found = [(candidate, losses(candidate)) for candidate in candidates if candidate != chosen]
        best, of_best = min(found, key=lambda each: float(each[1].mean()), default=(chosen, least))
        if _clearly_less(of_best, least):
            chosen, least = best, of_best

    if fixed.second_order is None and len(roots) > 1:
        take([_forward_selection(default, len(roots), lambda candidate: float(losses(candidate).mean()))])
    weights = WEIGHTS if fixed.weight is None and roots else (chosen.weight,)
    joins = (True, False) if fixed.averages is None and averages else (chosen.averages,)
    take([replace(chosen, weight=weight, averages=join) for weight, join in product(weights, joins)])
    return chosen


def _forward_selection(start: Choice, n_taps: int, loss: Callable[[Choice], float]) -> Choice:
    """Taps one by one, each the one that helps most beside those before, as long as one does."""
    chosen, least = replace(start, second_order=()), math.inf
    while len(chosen.second_order) < min(MOST_TAPS, n_taps):
        left = [tap for tap in range(n_taps) if tap not in chosen.second_order]
        wider = [replace(chosen, second_order=tuple(sorted((*chosen.second_order, tap)))) for tap in left]
        found = [loss(candidate) for candidate in wider]
        if min(found) >= least:
            break
        chosen, least = wider[found.index(min(found))], min(found)
    return chosen


def _clearly_less(losses: Float[Tensor, " images"], others: Float[Tensor, " images"]) -> bool:
    """Of the same images, by the paired difference."""
    differences = losses - others
    error = differences.std() / len(differences) ** 0.5
    return bool(differences.mean() < -_CLEARLY * error)


def _kernel(groups: Sequence[Float[Tensor, "images _"]]) -> Float64[Tensor, "images images"]:
    """Products of images over the standardised features of some groups."""
    x = torch.cat(list(groups), dim=1).double()
    mean, scale = standardisation(x)
    x = (x - mean) / scale
    return x @ x.T


class LeaveOut:
    """Ridge regression onto the targets of a task: how well each image is predicted by the fit to all others.

    The dual form of `least_squares.RidgePath`, for many more features than images.
    """

    def __init__(self, task: Task, labels: Num[Tensor, "images ..."], n_outputs: int) -> None:
        self._task, self._labels = task, labels
        targets = task.targets(labels, n_outputs).double()
        self._targets = targets - targets.mean(dim=0)

    def losses(self, kernel: Float64[Tensor, "images images"]) -> Float[Tensor, " images"]:
        """The task's loss of each image, at the regularisation with the least squared error and the best scale."""
        eigenvalues, vectors = torch.linalg.eigh(kernel)
        eigenvalues = eigenvalues.clamp_min(0)  # rounding makes zeros negative
        rotated, squares = vectors.T @ self._targets, vectors.square()
        least, best = math.inf, self._targets
        for alpha in _ALPHAS.to(kernel.device) * kernel.diagonal().mean():
            kept = eigenvalues / (eigenvalues + alpha)
            # The constant is the share of the offset, as in least_squares.py.
            hat = squares @ kept + 1 / len(kernel)
            residual = (self._targets - vectors @ (kept[:, None] * rotated)) / (1 - hat)[:, None]
            error = float(residual.square().mean())
            if error < least:
                least, best = error, self._targets - residual
        scores = best.float()
        return self._task.sample_losses(self._task.rescaling(scores, self._labels)(scores), self._labels)
