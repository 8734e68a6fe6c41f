"""One class of several: softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.tasks.calibration import cross_entropy, fit_scale, fit_temperature
from udta.tasks.classification_metrics import COLUMNS, classification_metrics
from udta.tasks.task import Rescaling, Task


class Multiclass(Task):
    """`multiclass`: labels are class indices, scores are logits of a softmax."""

    name: ClassVar[str] = "multiclass"
    exclusive: ClassVar[bool] = True
    fewest: ClassVar[int] = 2
    figure: ClassVar[str] = "top1"
    figure_name: ClassVar[str] = "top-1"
    beside: ClassVar[tuple[str, ...]] = ("balanced_accuracy", "macro_f1")
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    def targets(self, labels: Int64[Tensor, ...], n_outputs: int) -> Float[Tensor, "... outputs"]:
        """Shares of classes instead of class numbers: mixup gives a sample two of them."""
        return F.one_hot(labels, n_outputs).float()

    def smoothing(self, share: float, n_outputs: int) -> tuple[float, float]:
        """Towards all classes alike."""
        # In Python's floats: 1 - 0.1 rounded to float32 is not 1 minus 0.1 rounded to float32, and torch smooths so.
        return 1 - share, share / n_outputs

    def losses(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """Cross-entropy in nats: `torch.nn.functional.cross_entropy` to the bit, of each adapter."""
        return -(targets * scores.log_softmax(-1)).sum((1, 2)) / scores.shape[1]

    def right(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Int64[Tensor, " adapters"]:
        """The best class is the one with the largest share."""
        return (scores.argmax(2) == targets.argmax(2)).sum(1)

    def sample_losses(
        self, logits: Float[Tensor, "samples outputs"], labels: Int64[Tensor, " samples"]
    ) -> Float[Tensor, " samples"]:
        """Cross-entropy in nats."""
        return F.cross_entropy(logits, labels, reduction="none")

    def loss(self, logits: Float[Tensor, "samples outputs"], labels: Int64[Tensor, " samples"]) -> float:
        """Mean cross-entropy in nats."""
        return cross_entropy(logits, labels)

    def rescaling(
        self,
        scores: Float[Tensor, "samples outputs"],
        labels: Int64[Tensor, " samples"],
        prior: Float[Tensor, " outputs"] | None = None,
    ) -> Rescaling:
        """One factor for all classes; the prior is added to what was scaled."""
        return Rescaling(fit_scale(scores, labels, prior), prior)

    def temperature(
        self,
        logits: Float[Tensor, "samples outputs"],
        labels: Int64[Tensor, " samples"],
        importance: Float[Tensor, " outputs"] | None = None,
    ) -> float:
        """See `fit_temperature`."""
        return fit_temperature(logits, labels, importance)

    def strata(self, labels: Int64[np.ndarray, " samples"]) -> Int64[np.ndarray, " samples"]:
        """Classes."""
        return labels

    def unseen(self, labels: Int64[np.ndarray, " samples"], n_outputs: int) -> Bool[np.ndarray, " outputs"]:
        """Classes without an image."""
        return ~np.isin(np.arange(n_outputs), labels)

    def answers(self, scores: Float[Tensor, "*samples outputs"]) -> Float[Tensor, "*samples outputs"]:
        """Log-probabilities."""
        return scores.log_softmax(dim=-1)

    def score(self, logits: Float[Tensor, "samples outputs"], labels: Int64[Tensor, " samples"]) -> float:
        """Top-1."""
        return int((logits.argmax(1) == labels).sum()) / len(labels)

    def metrics(
        self,
        answers: Float[np.ndarray, "samples views outputs"],
        labels: Int64[np.ndarray, " samples"],
        names: Sequence[str],
        thresholds: Float[np.ndarray, " outputs"] | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """See `classification_metrics`."""
        return classification_metrics(answers, labels, seed)
