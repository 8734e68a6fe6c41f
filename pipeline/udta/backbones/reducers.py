"""Reducers: what is done to a tap's output before it is stored, always in float32.

A tap's output is a map `[B, C, H, W]` (Swin has it as `[B, H, W, C]`), tokens `[B, T, D]`, or a vector `[B, C]`. Tokens are those
of a grid of patches, after `prefix` others: a class token, a distillation token, registers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from torch import Tensor

from udta.errors import ConfigError, did_you_mean

NAMES = ("none", "grid(n)", "avg", "cls", "tokens")
# Maps larger than this are pooled unless something else is asked: a 56x56 map of one image is 64 times its 7x7 pooling.
DEFAULT_GRID = 7
_SPELLING = re.compile(r"(?:(none|avg|cls|tokens)(?:\(prefix=(\d+)\))?|grid\(([1-9]\d*)(?:,prefix=(\d+))?\))", re.ASCII)


@dataclass(frozen=True)
class Reducer:
    """`none`, `grid(n)`, `avg`, `cls` or `tokens`; `size` is the n of a grid.

    `prefix` tokens come before those of the grid; None where their number shows it (a square, or one more than a square).
    """

    name: str
    size: int = 0
    prefix: int | None = None

    @classmethod
    def parse(cls, text: str) -> Reducer:
        """Reads `grid(7)`, `avg(prefix=5)`. Raises `ConfigError` for anything that is no reducer."""
        match = _SPELLING.fullmatch(text.replace(" ", ""))
        if not match:
            raise ConfigError(f"there is no reducer {text!r}: {did_you_mean(text, NAMES)}")
        name, before, size, before_grid = match.groups()
        prefix = before or before_grid
        return cls(name or "grid", int(size or 0), None if prefix is None else int(prefix))

    @classmethod
    def default(cls, shape: tuple[int, ...], declared: int | None = None) -> Reducer:
        """For an output of this shape (without batch): `grid(7)` for a map or a square of tokens above 7x7, else `none`."""
        grid = cls("grid", DEFAULT_GRID).on_tokens(shape, declared)
        return grid if grid._side(shape) > DEFAULT_GRID else cls("none")

    def on_tokens(self, shape: tuple[int, ...], declared: int | None) -> Reducer:
        """With its prefix where a backbone that declares this many has other tokens than their number alone would show."""
        if len(shape) != 2 or declared is None or self.prefix is not None or self.name == "none":
            return self
        # The output of a patch embedding has none of them yet.
        fitting = [prefix for prefix in (declared, 0) if _is_square(shape[0] - prefix)]
        return self if not fitting or fitting[0] == self._before(shape) else replace(self, prefix=fitting[0])

    def __str__(self) -> str:
        words = [str(self.size)] if self.name == "grid" else []
        words += [] if self.prefix is None else [f"prefix={self.prefix}"]
        return f"{self.name}({','.join(words)})" if words else self.name

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Why it cannot reduce an output of this shape (without batch); None if it can."""
        if len(shape) not in (1, 2, 3):
            return f"its output has shape {list(shape)}, which is no map, no tokens and no vector"
        if self.prefix is not None and (len(shape) != 2 or self.prefix >= shape[0]):
            return f"{self} is for more than {self.prefix} tokens, but its output has shape {list(shape)}"
        if self.name in ("cls", "tokens") and not self._before(shape):
            return f"{self} is for tokens with a class token, but its output has shape {list(shape)}"
        if self.name == "grid":
            if self._side(shape) == 0:
                return f"{self} is for maps and squares of tokens, but its output has shape {list(shape)}"
            if self._side(shape) < self.size:
                return f"{self} is larger than its map, which is {self._side(shape)} wide"
        if self.name == "avg" and len(shape) == 1:
            return f"avg is for maps and tokens, but its output is a vector of {shape[0]}; use none"
        return None

    def __call__(self, output: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The reduced output, float32; it may share memory with `output` where nothing had to be done."""
        values = output.float()
        if values.ndim == 4 and _is_channels_last(tuple(values.shape[1:])):
            values = values.permute(0, 3, 1, 2)
        if self.name == "none" or values.ndim == 2:
            return values
        if values.ndim == 4:
            return values.mean(dim=(2, 3)) if self.name == "avg" else _pool(values, self.size)
        if self.name == "cls":
            return values[:, 0]
        patches = values[:, self._before(tuple(values.shape[1:])) :]
        if self.name == "avg":
            return patches.mean(dim=1)
        if self.name == "grid":
            side = math.isqrt(patches.shape[1])
            return _pool(patches.transpose(1, 2).reshape(len(patches), -1, side, side), self.size)
        return patches

    def _before(self, shape: tuple[int, ...]) -> int:
        """How many tokens come before the grid in an output of this shape."""
        if len(shape) != 2 or self.prefix is not None:
            return self.prefix or 0
        return int(shape[0] > 1 and _is_square(shape[0] - 1))

    def _side(self, shape: tuple[int, ...]) -> int:
        """The shorter side of a map, or of the square that tokens come from; 0 where there is neither."""
        if len(shape) == 3:
            return min(map_shape(shape)[1:])
        patches = shape[0] - self._before(shape) if len(shape) == 2 else 0
        return math.isqrt(patches) if _is_square(patches) else 0


def _pool(values: Float[Tensor, "batch channels height width"], size: int) -> Float[Tensor, "batch channels size size"]:
    return values if values.shape[2:] == (size, size) else F.adaptive_avg_pool2d(values, size)


def positions(shape: tuple[int, ...], declared: int | None = None) -> int:
    """Of how many places in the image an output of this shape (without batch) speaks; 1 for a vector."""
    if len(shape) == 2:
        return shape[0] - Reducer("avg").on_tokens(shape, declared)._before(shape)
    return math.prod(map_shape(shape)[1:]) if len(shape) == 3 else 1


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def map_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(channels, height, width) of a map of this shape (without batch), whichever order it is in."""
    return (shape[2], *shape[:2]) if _is_channels_last(shape) else shape


def _is_channels_last(shape: tuple[int, ...]) -> bool:
    """A square, then another number. Channels before a map that is not square could look the same (16 x 16 x 32)."""
    return shape[0] == shape[1] != shape[2]
