"""`tokens`: the patches, without what comes before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction


@dataclass(frozen=True)
class Patches(Reduction):
    """Patches as a sequence; without anything before them they are all there is, and `none` says that."""

    name: ClassVar[str] = "tokens"
    spelling: ClassVar[str] = "tokens"

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """Nothing stands before the patches."""
        return None if prefix else f"for tokens with a class token, but its output has shape {list(shape)}"

    def of_tokens(
        self, values: Float[Tensor, "batch token channels"], prefix: int
    ) -> Float[Tensor, "batch patch channels"]:
        """What comes after the prefix."""
        return values[:, prefix:]
