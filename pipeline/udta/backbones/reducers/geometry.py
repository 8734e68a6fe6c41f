"""How positions lie in an image: what its shape in pixels and the backbone say, or else what numbers alone can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """What is known of the outputs of a backbone.

    `size` is height and width of its input in pixels; by default any square, which is what a text out of a store is read with.
    `prefix` is how many tokens the backbone says come before its patches, None where it does not say; `class_token` whether the
    first of them is one.
    """

    size: tuple[int, int] = (1, 1)
    prefix: int | None = None
    class_token: bool = True

    def arranged(self, patches: int) -> tuple[int, int] | None:
        """In how many rows and columns so many patches cover the input; None where they fill no grid of its shape."""
        height, width = self.size
        if height == width:
            side = math.isqrt(max(patches, 0))
            return (side, side) if side and side * side == patches else None
        found = {grid for grid in self._grids() if math.prod(grid) == patches}
        # Two grids of one number are too many to choose from.
        return found.pop() if len(found) == 1 else None

    def before(self, tokens: int) -> int | None:
        """How many tokens come before the patches; None where that cannot be told, which is no reason to average them all."""
        # A patch embedding of a backbone that declares some has none of them yet. Where nothing is declared there may be a class
        # token: more than that (registers) cannot be told from patches by their number.
        likely = (self.prefix, 0) if self.prefix is not None else (1, 0)
        return next((prefix for prefix in likely if self.arranged(tokens - prefix)), None)

    def is_channels_last(self, shape: tuple[int, ...]) -> bool:
        """Whether a map of this shape (without batch) is H x W x C, as Swin's are; channels first where that may be as well."""
        first, last = shape[1:], shape[:2]
        if self._fits(*first) and self._fits(*last) and self.size[0] != self.size[1]:
            # 24 x 32 is as oblong as 18 x 24, but of 252 x 336 pixels only the second is what a stride leaves.
            return last in self._grids() and first not in self._grids()
        return self._fits(*last) and not self._fits(*first)

    def likely(self, tokens: int) -> tuple[int, int] | None:
        """The largest grid of the input's shape that so many tokens fill, and more; None for less than two rows."""
        height, width = self.size
        sides = range(2, math.isqrt(tokens) + 1)
        grids = [(side, side) for side in sides] if height == width else self._grids()
        return max((grid for grid in grids if 1 < math.prod(grid) <= tokens), key=math.prod, default=None)

    def _grids(self) -> set[tuple[int, int]]:
        """What any stride leaves of the input: rounded down without padding, up with it."""
        height, width = self.size
        strides = range(1, max(height, width) + 1)
        down = {(height // stride, width // stride) for stride in strides}
        return down | {(-(-height // stride), -(-width // stride)) for stride in strides}

    def _fits(self, rows: int, columns: int) -> bool:
        """Whether a map of these sides has the shape of the input, but for what rounding a stride may do to it."""
        height, width = self.size
        return abs(rows * width - columns * height) < max(height, width)
