"""What every task says of itself. A task has no state: what a training finds stands in the adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor


@dataclass(frozen=True)
class Rescaling:
    """What makes scores of a closed form logits: each is multiplied with `factor`, and then `offset` is added."""

    factor: float | Float[Tensor, " outputs"]
    offset: Float[Tensor, " outputs"] | None = None

    def __call__(self, scores: Float[Tensor, "samples outputs"]) -> Float[Tensor, "samples outputs"]:
        """The logits."""
        scaled = self.factor * scores
        return scaled if self.offset is None else scaled + self.offset


class Task(ABC):
    """Labels are class indices `[samples]`, or numbers `[samples, outputs]`; what an adapter says are as many scores a sample.

    Attributes:
        name: as users write it.
        exclusive: whether a sample has exactly one of the outputs; labels are their indices then.
        fewest: outputs, without which there is nothing to tell.
        columns: those of its `metrics` that stand in tables.
        figure: the one of its `metrics` that says which of two adapters is better, the larger the better. Beside it stands
            `<figure>_views`, of what all views of an image say together.
        figure_name: how people write it.
        beside: others of its `metrics` that are shown where adapters are compared.
        in_units: whether training aims at standardised labels, and answers are given back in the units of the labels.
        calibrated: whether a temperature is found with images that are left out.
        decides: whether each output has a threshold, chosen on images that are left out.
    """

    name: ClassVar[str]
    exclusive: ClassVar[bool] = False
    fewest: ClassVar[int] = 1
    figure: ClassVar[str]
    figure_name: ClassVar[str]
    beside: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]]
    in_units: ClassVar[bool] = False
    calibrated: ClassVar[bool] = True
    decides: ClassVar[bool] = False

    def targets(self, labels: Num[Tensor, ...], n_outputs: int) -> Float[Tensor, "... outputs"]:
        """What scores are trained to be, float32: shares of classes, or labels and standardised numbers as they are."""
        return labels

    @abstractmethod
    def smoothing(self, share: float, n_outputs: int) -> tuple[float, float]:
        """What label smoothing leaves of a target, and what it adds to each."""

    @abstractmethod
    def losses(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """The mean over the batch, of each adapter."""

    @abstractmethod
    def right(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Num[Tensor, " adapters"]:
        """How many samples are right, for the accuracy of `history.csv`; parts of them where a task has such."""

    @abstractmethod
    def sample_losses(
        self, logits: Float[Tensor, "samples outputs"], labels: Num[Tensor, "samples ..."]
    ) -> Float[Tensor, " samples"]:
        """The loss of each sample, of labels that are not smoothed."""

    def loss(self, logits: Float[Tensor, "samples outputs"], labels: Num[Tensor, "samples ..."]) -> float:
        """The mean of `sample_losses`."""
        return float(self.sample_losses(logits, labels).mean())

    def accuracy(self, logits: Float[Tensor, "samples outputs"], labels: Num[Tensor, "samples ..."]) -> float:
        """The share of samples that are `right`."""
        return float(self.right(logits[None], self.targets(labels, logits.shape[1])[None])[0].float() / len(logits))

    @abstractmethod
    def rescaling(
        self,
        scores: Float[Tensor, "samples outputs"],
        labels: Num[Tensor, "samples ..."],
        prior: Float[Tensor, " outputs"] | None = None,
    ) -> Rescaling:
        """What makes scores of samples that were left out logits with the least loss.

        Args:
            scores: of a closed form.
            labels: of the samples.
            prior: logarithms of the shares of classes, of scores that know nothing of them.
        """

    def temperature(
        self,
        logits: Float[Tensor, "samples outputs"],
        labels: Num[Tensor, "samples ..."],
        importance: Float[Tensor, " outputs"] | None = None,
    ) -> float:
        """What logits of samples that were left out are divided by to have the least loss.

        Samples of a class count as its `importance` says, where labels are classes.
        """
        return 1.0

    def thresholds(
        self, logits: Float[Tensor, "samples outputs"], labels: Num[Tensor, "samples ..."]
    ) -> Float[Tensor, " outputs"]:
        """The logit of each output from which on it is said to be there, by samples that were left out."""
        return torch.zeros_like(logits[0])

    def strata(self, labels: Num[np.ndarray, "samples ..."]) -> Int64[np.ndarray, " samples"]:
        """Which samples are alike, where a part shall be like the whole: the same number for those of one kind."""
        return np.zeros(len(labels), dtype=np.int64)

    def unseen(self, labels: Num[np.ndarray, "samples ..."], n_outputs: int) -> Bool[np.ndarray, " outputs"]:
        """Outputs of which these labels have no example, so that nothing can be learned of them."""
        return np.zeros(n_outputs, dtype=bool)

    def answers(self, scores: Float[Tensor, "*samples outputs"]) -> Float[Tensor, "*samples outputs"]:
        """What is averaged over the views of an image: log-probabilities, log-odds, or numbers in their units."""
        return scores

    def score(self, logits: Float[Tensor, "samples outputs"], labels: Num[Tensor, "samples ..."]) -> float:
        """The `figure` of one view, without all else."""
        answers = self.answers(logits)[:, None].cpu().numpy()
        names = [str(number) for number in range(logits.shape[1])]
        return float(self.metrics(answers, labels.cpu().numpy(), names)[self.figure])

    @abstractmethod
    def metrics(
        self,
        answers: Float[np.ndarray, "samples views outputs"],
        labels: Num[np.ndarray, "samples ..."],
        names: Sequence[str],
        thresholds: Float[np.ndarray, " outputs"] | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Figures of merit, see the modules of metrics.

        Args:
            answers: by sample and view; figures are of view 0, but for those that end in `_views`.
            labels: of the samples, in the units of their file.
            names: of the outputs.
            thresholds: of the adapter, where the task `decides`; 0, that is a probability of one half, by default.
            seed: of what is drawn, as for intervals.
        """
