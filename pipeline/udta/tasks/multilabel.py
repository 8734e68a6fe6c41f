"""Any number of labels an image: a sigmoid and binary cross-entropy for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.tasks.binary_calibration import best_thresholds, fit_binary_temperature, fit_logistic
from udta.tasks.multilabel_metrics import multilabel_metrics
from udta.tasks.task import Rescaling, Task


class Multilabel(Task):
    """`multilabel`: labels are 0 or 1 for each output, scores are log-odds."""

    name: ClassVar[str] = "multilabel"
    figure: ClassVar[str] = "map"
    figure_name: ClassVar[str] = "mAP"
    columns: ClassVar[tuple[str, ...]] = ("map", "micro_f1", "macro_f1", "map_views", "n")
    decides: ClassVar[bool] = True

    def smoothing(self, share: float, n_outputs: int) -> tuple[float, float]:
        """Towards one half: each output is a question of two answers."""
        return 1 - share, share / 2

    def losses(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """Binary cross-entropy in nats, the mean over labels too."""
        return F.binary_cross_entropy_with_logits(scores, targets, reduction="none").mean((1, 2))

    def right(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """Of each sample the share of labels that are."""
        return ((scores > 0) == (targets > 0.5)).float().mean(2).sum(1)

    def sample_losses(
        self, logits: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]
    ) -> Float[Tensor, " samples"]:
        """Binary cross-entropy in nats, the mean over labels."""
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)

    def rescaling(
        self,
        scores: Float[Tensor, "samples outputs"],
        labels: Float[Tensor, "samples outputs"],
        prior: Float[Tensor, " outputs"] | None = None,
    ) -> Rescaling:
        """A factor and an offset for each label, as Platt has it; they know how often it is there, so a prior plays no part."""
        return Rescaling(*fit_logistic(scores, labels))

    def temperature(
        self,
        logits: Float[Tensor, "samples outputs"],
        labels: Float[Tensor, "samples outputs"],
        importance: Float[Tensor, " outputs"] | None = None,  # samples have no class that could count
    ) -> float:
        """One for all labels."""
        return fit_binary_temperature(logits, labels)

    def thresholds(
        self, logits: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]
    ) -> Float[Tensor, " outputs"]:
        """Those with the largest F1 of each label."""
        return best_thresholds(logits, labels)

    def strata(self, labels: Float[np.ndarray, "samples outputs"]) -> Int64[np.ndarray, " samples"]:
        """The rarest label of each image: a label that few images have is the one that a part may lack. Without any, one more."""
        counts = np.where(labels > 0, (labels > 0).sum(axis=0), np.inf)
        rarest: np.ndarray = np.where((labels > 0).any(axis=1), counts.argmin(axis=1), labels.shape[1])
        return rarest

    def unseen(self, labels: Float[np.ndarray, "samples outputs"], n_outputs: int) -> Bool[np.ndarray, " outputs"]:
        """Labels that no image has."""
        return ~np.asarray((labels > 0).any(axis=0))

    def metrics(
        self,
        answers: Float[np.ndarray, "samples views outputs"],
        labels: Float[np.ndarray, "samples outputs"],
        names: Sequence[str],
        thresholds: Float[np.ndarray, " outputs"] | None = None,
        seed: int = 0,  # nothing is drawn
    ) -> dict[str, Any]:
        """See `multilabel_metrics`."""
        return multilabel_metrics(answers, labels, names, np.zeros(len(names)) if thresholds is None else thresholds)
