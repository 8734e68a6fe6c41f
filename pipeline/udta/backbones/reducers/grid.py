"""`grid(n)`: a map averaged down to n x n positions; `grid` alone: the positions that are there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.geometry import Geometry
from udta.backbones.reducers.reduction import Reduction

# One spelling for one meaning, since the text is in the fingerprint: no `grid(07)`, and 7x7 is written 7.
_SIZE = re.compile(r"([1-9]\d*)(?:x([1-9]\d*))?", re.ASCII)
# Of a text that is read alone: a number of patches fills a square, if it can.
_ALONE = Geometry()


@dataclass(frozen=True)
class Grid(Reduction):
    """Averages over `size` parts (rows, columns) of a map, or of the rectangle that the patches come from.

    Without `size` the positions as they are. `of` is how patches lie where neither `size` nor a square says so.
    """

    name: ClassVar[str] = "grid"
    spelling: ClassVar[str] = "grid(n)"

    size: tuple[int, int] | None = None
    of: tuple[int, int] | None = None

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Reduction | None:
        """From `7`, `18x24`, `7,of=18x24`, or nothing."""
        words = [argument.removeprefix("of=") for argument in arguments]
        which = [argument.startswith("of=") for argument in arguments]
        sizes = [_read_size(word) for word in words]
        if which not in ([], [False], [True], [False, True]) or None in sizes:
            return None
        found = dict(zip(which, sizes, strict=True))
        return cls(found.get(False), found.get(True))

    @property
    def arguments(self) -> tuple[str, ...]:
        """`7`, `18x24`, `7,of=18x24`."""
        size = (_text(self.size),) if self.size else ()
        return (*size, f"of={self.of[0]}x{self.of[1]}") if self.of else size

    @property
    def needs_rectangle(self) -> bool:
        """Unless its own text says how they lie."""
        return self._said is None

    def settled(self, grid: tuple[int, int] | None, *, of_tokens: bool, class_token: bool) -> Reduction:
        """With its size, and how patches lie where it averages them and their number does not tell."""
        if not of_tokens or grid is None:
            return replace(self, size=self.size or self.of or grid)
        of = self.of or grid
        size = self.size or of
        square = size[0] == size[1] and of[0] == of[1]
        return replace(self, size=size, of=None if size == of or square else of)

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """A vector, tokens of no rectangle, or a map that is smaller: its values would be stored several times."""
        patches = shape[0] - prefix if len(shape) == 2 else 0
        grid = (shape[1], shape[2]) if len(shape) == 3 else self._lie(patches)
        if grid is None or len(shape) == 1:
            return f"for maps and squares of tokens, but its output has shape {list(shape)}"
        if len(shape) == 2 and math.prod(grid) != patches:
            return f"for {grid[0]} x {grid[1]} patches, but its output has {patches} after {prefix} other tokens"
        if len(shape) == 3 and self.of:
            return f"for patches, but its output is a map of shape {list(shape)}; leave out of="
        if self.size and (self.size[0] > grid[0] or self.size[1] > grid[1]):
            return (
                f"larger than its map, which is {f'{grid[0]} wide' if grid[0] == grid[1] else f'{grid[0]} x {grid[1]}'}"
            )
        return None

    def of_map(
        self, values: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Averages as PyTorch's adaptive pooling takes them: where n does not divide the side, parts overlap by a row."""
        # A map of this size already is taken as it is: pooling would copy it.
        return values if self.size in (None, values.shape[2:]) else F.adaptive_avg_pool2d(values, self.size)

    def of_tokens(
        self, values: Float[Tensor, "batch token channels"], prefix: int
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The patches as the map that they were cut from, row by row."""
        patches = values[:, prefix:]
        grid = self._lie(patches.shape[1])
        assert grid is not None  # `problem` refused it
        return self.of_map(patches.transpose(1, 2).reshape(patches.shape[0], -1, *grid))

    @property
    def _said(self) -> tuple[int, int] | None:
        """How patches lie, where its text says so: an oblong size alone is theirs."""
        return self.of or (self.size if self.size and self.size[0] != self.size[1] else None)

    def _lie(self, patches: int) -> tuple[int, int] | None:
        return self._said or _ALONE.arranged(patches)


def _read_size(text: str) -> tuple[int, int] | None:
    match = _SIZE.fullmatch(text)
    return (int(match[1]), int(match[2] or match[1])) if match else None


def _text(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
