"""`cls`: the class token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction


@dataclass(frozen=True)
class ClassToken(Reduction):
    """The first token; registers and a distillation token stand between it and the patches."""

    name: ClassVar[str] = "cls"
    spelling: ClassVar[str] = "cls"
    reads_class_token: ClassVar[bool] = True

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """Nothing stands before the patches."""
        return None if prefix else f"for tokens with a class token, but its output has shape {list(shape)}"

    def of_tokens(self, values: Float[Tensor, "batch token channels"], prefix: int) -> Float[Tensor, "batch channels"]:
        """The first one."""
        return values[:, 0]
