"""`grid(n)`: a map averaged down to n x n positions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.reduction import Reduction, grid_side

# One spelling for one meaning, since the text is in the fingerprint: no `grid(07)`.
_SIZE = re.compile(r"[1-9]\d*", re.ASCII)


@dataclass(frozen=True)
class Grid(Reduction):
    """Averages over `size` x `size` parts, of a map or of the square that the patches come from."""

    name: ClassVar[str] = "grid"
    spelling: ClassVar[str] = "grid(n)"

    size: int

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Reduction | None:
        """From `7`, and nothing else."""
        return cls(int(arguments[0])) if len(arguments) == 1 and _SIZE.fullmatch(arguments[0]) else None

    @property
    def arguments(self) -> tuple[str, ...]:
        """`7`."""
        return (str(self.size),)

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """A vector, tokens of no square, or a map that is smaller: its values would be stored several times."""
        side = grid_side(shape, prefix)
        if side == 0:
            return f"for maps and squares of tokens, but its output has shape {list(shape)}"
        return f"larger than its map, which is {side} wide" if side < self.size else None

    def of_map(self, values: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels size size"]:
        """Averages as PyTorch's adaptive pooling takes them: where n does not divide the side, parts overlap by a row."""
        # A map of this size already is taken as it is: pooling would copy it.
        return values if values.shape[2:] == (self.size, self.size) else F.adaptive_avg_pool2d(values, self.size)

    def of_tokens(
        self, values: Float[Tensor, "batch token channels"], prefix: int
    ) -> Float[Tensor, "batch channels size size"]:
        """The patches as the map that they were cut from, row by row."""
        patches = values[:, prefix:]
        side = math.isqrt(patches.shape[1])
        return self.of_map(patches.transpose(1, 2).reshape(len(patches), -1, side, side))
