"""Reducers: what is done to a tap's output before it is stored, always in float32.

A tap's output is a map `[B, C, H, W]` (torchvision's Swin has it as `[B, H, W, C]`), tokens `[B, T, D]`, or a vector `[B, C]`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from torch import Tensor

from udta.errors import ConfigError, did_you_mean

NAMES = ("none", "grid(n)", "avg", "cls", "tokens")
# Maps larger than this are pooled unless something else is asked: a 56x56 map of one image is 64 times its 7x7 pooling.
DEFAULT_GRID = 7


@dataclass(frozen=True)
class Reducer:
    """`none`, `grid(n)`, `avg`, `cls` or `tokens`; `size` is the n of a grid."""

    name: str
    size: int = 0

    @classmethod
    def parse(cls, text: str) -> Reducer:
        """Raises `ConfigError` for anything that is no reducer."""
        match = re.fullmatch(r"grid\((\d+)\)", text.replace(" ", ""))
        if match and int(match[1]) > 0:
            return cls("grid", int(match[1]))
        if text in ("none", "avg", "cls", "tokens"):
            return cls(text)
        raise ConfigError(f"there is no reducer {text!r}: {did_you_mean(text, NAMES)}")

    @classmethod
    def default(cls, shape: tuple[int, ...]) -> Reducer:
        """For an output of this shape (without batch): `grid(7)` for a map or a square of tokens above 7x7, else `none`."""
        return cls("grid", DEFAULT_GRID) if _side(shape) > DEFAULT_GRID else cls("none")

    def __str__(self) -> str:
        return f"grid({self.size})" if self.name == "grid" else self.name

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Why it cannot reduce an output of this shape (without batch); None if it can."""
        if len(shape) not in (1, 2, 3):
            return f"its output has shape {list(shape)}, which is no map, no tokens and no vector"
        if self.name in ("cls", "tokens") and not _has_class_token(shape):
            return f"{self} is for tokens with a class token, but its output has shape {list(shape)}"
        if self.name == "grid":
            if _side(shape) == 0:
                return f"{self} is for maps, but its output has shape {list(shape)}"
            if _side(shape) < self.size:
                return f"{self} is larger than its map, which is {_side(shape)} wide"
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
        patches = values[:, 1:] if _has_class_token(tuple(values.shape[1:])) else values
        if self.name == "avg":
            return patches.mean(dim=1)
        if self.name == "grid":
            side = math.isqrt(patches.shape[1])
            return _pool(patches.transpose(1, 2).reshape(len(patches), -1, side, side), self.size)
        return patches


def _pool(values: Float[Tensor, "batch channels height width"], size: int) -> Float[Tensor, "batch channels size size"]:
    return values if values.shape[2:] == (size, size) else F.adaptive_avg_pool2d(values, size)


def _has_class_token(shape: tuple[int, ...]) -> bool:
    """Tokens whose number is one more than a square: a class token before a grid of patches."""
    return len(shape) == 2 and shape[0] > 1 and math.isqrt(shape[0] - 1) ** 2 == shape[0] - 1


def _side(shape: tuple[int, ...]) -> int:
    """The shorter side of a map, or of the square that tokens come from; 0 where there is neither."""
    if len(shape) == 3:
        return min(map_shape(shape)[1:])
    return math.isqrt(shape[0] - 1) if _has_class_token(shape) else 0


def map_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(channels, height, width) of a map of this shape (without batch), whichever order it is in."""
    return (shape[2], *shape[:2]) if _is_channels_last(shape) else shape


def _is_channels_last(shape: tuple[int, ...]) -> bool:
    """A square, then another number. Channels before a map that is not square could look the same (16 x 16 x 32)."""
    return shape[0] == shape[1] != shape[2]
