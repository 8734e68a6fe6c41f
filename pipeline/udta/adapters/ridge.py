"""Ridge regression onto one-hot targets, labels or numbers: a linear layer in closed form, with nothing to tune."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, Num
from pydantic import Field
from torch import Tensor

from udta.adapters.base import AdapterOptions
from udta.adapters.closed_form import AverageClosedForm, ClosedFormOptions
from udta.adapters.least_squares import RidgePath
from udta.adapters.samples import Gathered


class RidgeOptions(ClosedFormOptions):
    """Options of `ridge`; scikit-learn's alpha is this one times the number of samples."""

    taps: Literal["last", "all"] = Field("last", description=ClosedFormOptions.model_fields["taps"].description)


class Ridge(AverageClosedForm):
    """`ridge`: averages -> standardisation -> least squares onto targets, scaled into log-probabilities or log-odds.

    Source: Hoerl and Kennard 1970, "Ridge Regression"; regularisation and scale come from leaving out one image at a time.
    """

    name: ClassVar[str] = "ridge"
    options_type: ClassVar[type[AdapterOptions]] = RidgeOptions
    settings: RidgeOptions

    def path(
        self, x: Float[Tensor, "samples inputs"], labels: Num[Tensor, "samples ..."], found: Gathered
    ) -> RidgePath:
        """Least squares."""
        return RidgePath(x, self.task.targets(labels, self.n_classes).double(), found.images)
