"""What each reducer says of itself, and what the shapes of outputs mean to all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor


class Reduction(ABC):
    """What one reducer does to maps and tokens; `Reducer` has seen to the rest (float32, channels first, no vector).

    A subclass is a frozen dataclass of what stands in its brackets. It lies in a file of its own and has a line in the registry.
    """

    name: ClassVar[str]
    # As messages and help write it.
    spelling: ClassVar[str]
    # Whether it is written down how many tokens a backbone declares before its patches. `none` keeps those as well, and
    # writing `none(prefix=5)` would give the same features another fingerprint.
    notes_prefix: ClassVar[bool] = True
    # Whether it reads the class token: timm's DINOv3 and others have registers before the patches and no class token.
    reads_class_token: ClassVar[bool] = False

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Reduction | None:
        """From what stands in its brackets, without the prefix; None where that is wrong."""
        return None if arguments else cls()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What stands in its brackets: the inverse of `read`."""
        return ()

    def problem(self, shape: tuple[int, ...], prefix: int) -> str | None:
        """Why it cannot reduce an output of this shape (one to three dimensions, without batch); None if it can.

        The end of a sentence that begins with the reducer: `grid(7) is ...`.
        """
        return None

    def of_map(self, values: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch ..."]:
        """A map, reduced; it may share memory with `values`. For a reducer whose `problem` refuses maps there is none."""
        raise NotImplementedError

    @abstractmethod
    def of_tokens(self, values: Float[Tensor, "batch token channels"], prefix: int) -> Float[Tensor, "batch ..."]:
        """Tokens, of which `prefix` come before the patches, reduced; it may share memory with `values`."""


def shown_prefix(shape: tuple[int, ...]) -> int:
    """How many tokens come before the patches as far as their number shows: one where it is one more than a square."""
    return int(len(shape) == 2 and shape[0] > 1 and is_square(shape[0] - 1))


def grid_side(shape: tuple[int, ...], prefix: int) -> int:
    """The shorter side of a map, or of the square that tokens come from; 0 where there is neither."""
    if len(shape) == 3:
        return min(map_shape(shape)[1:])
    patches = shape[0] - prefix if len(shape) == 2 else 0
    return math.isqrt(patches) if is_square(patches) else 0


def map_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(channels, height, width) of a map of this shape (without batch), whichever order it is in."""
    return (shape[2], *shape[:2]) if is_channels_last(shape) else shape


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """A square, then another number. Channels before a map that is not square could look the same (16 x 16 x 32)."""
    return shape[0] == shape[1] != shape[2]


def is_square(number: int) -> bool:
    """Whether so many patches fill a square: the one arrangement that a number alone can tell."""
    return number > 0 and math.isqrt(number) ** 2 == number
