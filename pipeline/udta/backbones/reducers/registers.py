"""`registers`: the tokens between class token and patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction

_NO_CLASS_TOKEN = "from=0"


@dataclass(frozen=True)
class Registers(Reduction):
    """Registers, or a distillation token, as a sequence; `first` is 0 where no class token stands before them."""

    name: ClassVar[str] = "registers"
    spelling: ClassVar[str] = "registers"

    first: int = 1

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Reduction | None:
        """From nothing, or `from=0`."""
        return {(): cls(), (_NO_CLASS_TOKEN,): cls(0)}.get(tuple(arguments))

    @property
    def arguments(self) -> tuple[str, ...]:
        """`from=0` where they are the first."""
        return () if self.first else (_NO_CLASS_TOKEN,)

    def settled(self, grid: tuple[int, int] | None, *, of_tokens: bool, class_token: bool) -> Reduction:
        """Whether a class token stands before them shows in no number."""
        return replace(self, first=int(class_token and self.first))

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """None stand there."""
        if prefix > self.first and len(shape) == 2:
            return None
        here = f"its output has shape {list(shape)}" + (f" and {prefix} before its patches" if len(shape) == 2 else "")
        return f"for tokens with registers between class token and patches, but {here}"

    def of_tokens(
        self, values: Float[Tensor, "batch token channels"], prefix: int
    ) -> Float[Tensor, "batch register channels"]:
        """What lies between."""
        return values[:, self.first : prefix]
