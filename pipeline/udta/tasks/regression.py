"""One number or several: squared error of standardised targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from udta.tasks.regression_metrics import regression_metrics
from udta.tasks.task import Rescaling, Task


class Regression(Task):
    """`regression`: labels are numbers; scores are of standardised ones: targets in metres and in years learn alike then."""

    name: ClassVar[str] = "regression"
    figure: ClassVar[str] = "r2"
    figure_name: ClassVar[str] = "R2"
    columns: ClassVar[tuple[str, ...]] = ("mae", "r2", "spearman", "r2_views", "n")
    in_units: ClassVar[bool] = True
    calibrated: ClassVar[bool] = False

    def smoothing(self, share: float, n_outputs: int) -> tuple[float, float]:
        """None: a number has nothing that its share could be spread over."""
        return 1.0, 0.0

    def losses(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """Mean squared error, over targets too."""
        return (scores - targets).square().mean((1, 2))

    def right(
        self, scores: Float[Tensor, "adapters batch outputs"], targets: Float[Tensor, "adapters batch outputs"]
    ) -> Float[Tensor, " adapters"]:
        """What is left of 1 after the squared error, so that the mean is the share of the variance that is explained."""
        return (1 - (scores - targets).square().mean(2)).sum(1)

    def sample_losses(
        self, logits: Float[Tensor, "samples outputs"], labels: Float[Tensor, "samples outputs"]
    ) -> Float[Tensor, " samples"]:
        """Squared error, the mean over targets."""
        return (logits - labels).square().mean(1)

    def rescaling(
        self,
        scores: Float[Tensor, "samples outputs"],
        labels: Float[Tensor, "samples outputs"],
        prior: Float[Tensor, " outputs"] | None = None,
    ) -> Rescaling:
        """None: least squares are on the scale already."""
        return Rescaling(1.0)

    def metrics(
        self,
        answers: Float[np.ndarray, "samples views outputs"],
        labels: Float[np.ndarray, "samples outputs"],
        names: Sequence[str],
        thresholds: Float[np.ndarray, " outputs"] | None = None,
        seed: int = 0,  # nothing is drawn
    ) -> dict[str, Any]:
        """See `regression_metrics`."""
        return regression_metrics(answers, labels, names)
