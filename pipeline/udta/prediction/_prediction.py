"""What one adapter says of some images: probabilities or numbers, the labels that follow from them, the best few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from udta.adapters import Adapter
from udta.errors import ConfigError

# Label and probability.
Ranked = tuple[str, float]


@dataclass(frozen=True, eq=False)
class Prediction:
    """One entry for each image, in their order.

    Attributes:
        task: `multiclass`, `multilabel` or `regression`.
        classes: names of the columns of `values`: classes, labels or targets.
        values: probabilities, float32, or of a regression numbers in their units.
        is_there: of several labels which are above their threshold; None of other tasks.
    """

    task: str
    classes: tuple[str, ...]
    values: Float[np.ndarray, "images classes"]
    is_there: Bool[np.ndarray, "images classes"] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def labels(self) -> list[str] | list[list[str]]:
        """The best class of each image; of several labels all that are there.

        Raises:
            ConfigError: numbers have no labels.
        """
        if self.is_there is not None:
            return [[self.classes[index] for index in np.flatnonzero(row)] for row in self.is_there]
        return [found[0][0] for found in self.top(1)]

    def top(self, k: int = 5) -> list[list[Ranked]]:
        """The `k` likeliest classes or labels of each image with their probabilities, the likeliest first.

        Raises:
            ConfigError: numbers have no likeliest, or `k` is under 1.
        """
        if self.task == "regression":
            raise ConfigError("a regression says numbers, of which none is likelier than another: see `values`")
        if k < 1:
            raise ConfigError(f"top {k} was asked for: give 1 or more")
        # Stable: of equal classes the one with the lower index comes first, as in an evaluation.
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :k]
        return [
            [(self.classes[index], float(row[index])) for index in best]
            for row, best in zip(self.values, order, strict=True)
        ]


@torch.inference_mode()
def answer(
    adapter: Adapter, features: dict[str, Float[Tensor, "images views ..."]], n_views: int
) -> Float[Tensor, "images classes"]:
    """What an adapter says of images, averaged over their views, on the CPU.

    Logits of one view, else what its task averages: log-probabilities (which are logits up to a constant of each image),
    log-odds of labels, or numbers.
    """
    logits = adapter({tap: values.flatten(0, 1) for tap, values in features.items()}).unflatten(0, (-1, n_views))
    averaged: Tensor = logits[:, 0] if n_views == 1 else adapter.task.answers(logits).mean(dim=1)
    return averaged.cpu()


def prediction_of(adapter: Adapter, classes: tuple[str, ...], answers: Float[Tensor, "images classes"]) -> Prediction:
    """What `answer` gave, in the words of the adapter's task."""
    task = adapter.task
    if task.exclusive:
        # A mean of logarithms is a geometric mean of probabilities: softmax has them add up to 1 again.
        return Prediction(task.name, classes, answers.softmax(dim=1).numpy())
    if task.in_units:
        return Prediction(task.name, classes, answers.numpy())
    return Prediction(task.name, classes, answers.sigmoid().numpy(), (answers > adapter.threshold.cpu()).numpy())
