"""`none`: the output as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction


@dataclass(frozen=True)
class Whole(Reduction):
    """Maps, channels first, and all tokens."""

    name: ClassVar[str] = "none"
    spelling: ClassVar[str] = "none"
    notes_prefix: ClassVar[bool] = False

    def of_map(
        self, values: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The map."""
        return values

    def of_tokens(
        self, values: Float[Tensor, "batch token channels"], prefix: int
    ) -> Float[Tensor, "batch token channels"]:
        """All of them, what comes before the patches as well."""
        return values
