"""A reducer as `--taps` and stores write it, such as `grid(7,prefix=5)`, on every kind of output."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.grid import Grid
from udta.backbones.reducers.none import Whole
from udta.backbones.reducers.reduction import (
    Reduction,
    grid_side,
    is_channels_last,
    is_square,
    map_shape,
    shown_prefix,
)
from udta.backbones.reducers.registry import REDUCERS
from udta.errors import ConfigError, did_you_mean

# Maps larger than this are pooled unless something else is asked: a 56x56 map of one image is 64 times its 7x7 pooling.
DEFAULT_GRID = 7
_SPELLING = re.compile(r"([^()]+)(?:\(([^()]*)\))?")
# ASCII: `\d` alone takes the digits of every script, and `int` would read them.
_PREFIX = re.compile(r"prefix=(\d+)", re.ASCII)


@dataclass(frozen=True)
class Reducer:
    """A reduction of the registry, and where in tokens it begins.

    `prefix` tokens come before those of the grid; None where their number shows it (a square, or one more than a square).
    """

    reduction: Reduction
    prefix: int | None = None

    @classmethod
    def parse(cls, text: str) -> Reducer:
        """Reads `grid(7)`, `avg(prefix=5)`. Raises `ConfigError` for anything that is no reducer."""
        match = _SPELLING.fullmatch(text.replace(" ", ""))
        name, brackets = match.groups() if match else ("", None)
        arguments = [] if brackets is None else brackets.split(",")
        prefix = _PREFIX.fullmatch(arguments[-1]) if arguments else None
        known = REDUCERS.get(name)
        reduction = known.read(arguments[:-1] if prefix else arguments) if known else None
        if reduction is None:
            names = [each.spelling for each in REDUCERS.values()]
            raise ConfigError(f"there is no reducer {text!r}: {did_you_mean(text, names)}")
        return cls(reduction, int(prefix[1]) if prefix else None)

    @classmethod
    def default(cls, shape: tuple[int, ...], declared: int | None = None) -> Reducer:
        """For an output of this shape (without batch): `grid(7)` for a map or a square of tokens above 7x7, else `none`."""
        grid = cls(Grid(DEFAULT_GRID)).on_tokens(shape, declared)
        return grid if grid_side(shape, grid._before(shape)) > DEFAULT_GRID else cls(Whole())

    def on_tokens(self, shape: tuple[int, ...], declared: int | None) -> Reducer:
        """With its prefix where a backbone that declares this many has other tokens than their number alone would show."""
        if len(shape) != 2 or declared is None or self.prefix is not None or not self.reduction.notes_prefix:
            return self
        # The output of a patch embedding has none of them yet.
        fitting = [prefix for prefix in (declared, 0) if is_square(shape[0] - prefix)]
        # Where the number shows the same, nothing is written: `grid(7)` of a plain ViT is one fingerprint, whoever built it.
        return self if not fitting or fitting[0] == shown_prefix(shape) else replace(self, prefix=fitting[0])

    def __str__(self) -> str:
        words = [*self.reduction.arguments, *([] if self.prefix is None else [f"prefix={self.prefix}"])]
        return f"{self.reduction.name}({','.join(words)})" if words else self.reduction.name

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Why it cannot reduce an output of this shape (without batch); None if it can."""
        if len(shape) not in (1, 2, 3):
            return f"its output has shape {list(shape)}, which is no map, no tokens and no vector"
        if self.prefix is not None and (len(shape) != 2 or self.prefix >= shape[0]):
            return f"{self} is for more than {self.prefix} tokens, but its output has shape {list(shape)}"
        problem = self.reduction.problem(shape, self._before(shape))
        return problem and f"{self} is {problem}"

    def __call__(self, output: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The reduced output, float32; it may share memory with `output` where nothing had to be done."""
        # First of all, since an average over 49 positions in bf16, with its 8 bits, would round each of its sums.
        values = output.float()
        if values.ndim == 2:
            return values
        if values.ndim == 4:
            return self.reduction.of_map(
                values.permute(0, 3, 1, 2) if is_channels_last(tuple(values.shape[1:])) else values
            )
        return self.reduction.of_tokens(values, self._before(tuple(values.shape[1:])))

    def _before(self, shape: tuple[int, ...]) -> int:
        """How many tokens come before the grid in an output of this shape."""
        return shown_prefix(shape) if self.prefix is None else self.prefix


def positions(shape: tuple[int, ...], declared: int | None = None) -> int:
    """Of how many positions in the image an output of this shape (without batch) speaks; 1 for a vector.

    `declared` is the number of tokens that the backbone says come before its patches.
    """
    if len(shape) == 2:
        return shape[0] - Reducer(Grid(1)).on_tokens(shape, declared)._before(shape)
    return math.prod(map_shape(shape)[1:]) if len(shape) == 3 else 1
