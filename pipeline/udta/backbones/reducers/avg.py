"""`avg`: one average over all positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction


@dataclass(frozen=True)
class Average(Reduction):
    """Over the positions of a map, or over the patches."""

    name: ClassVar[str] = "avg"
    spelling: ClassVar[str] = "avg"

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """A vector has no positions."""
        return f"for maps and tokens, but its output is a vector of {shape[0]}; use none" if len(shape) == 1 else None

    def of_map(self, values: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels"]:
        """What a global average pooling gives."""
        return values.mean(dim=(2, 3))

    def of_tokens(self, values: Float[Tensor, "batch token channels"], prefix: int) -> Float[Tensor, "batch channels"]:
        """Of the patches alone."""
        # Registers collect what belongs to no position, with norms far above those of patches (Darcet et al., arXiv 2309.16588).
        return values[:, prefix:].mean(dim=1)
