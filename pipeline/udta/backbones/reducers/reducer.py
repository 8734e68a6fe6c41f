"""A reducer as `--taps` and stores write it, such as `grid(7,prefix=5)`, on every kind of output."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from udta.backbones.reducers.geometry import Geometry
from udta.backbones.reducers.grid import Grid
from udta.backbones.reducers.none import Whole
from udta.backbones.reducers.reduction import Reduction
from udta.backbones.reducers.registry import REDUCERS
from udta.errors import ConfigError, did_you_mean

# Maps larger than this are pooled unless something else is asked: a 56x56 map of one image is 64 times its 7x7 pooling.
DEFAULT_GRID = 7
_SPELLING = re.compile(r"([^()]+)(?:\(([^()]*)\))?")
# ASCII: `\d` alone takes the digits of every script, and `int` would read them.
_PREFIX = re.compile(r"prefix=(\d+)", re.ASCII)
_CHANNELS = re.compile(r"channels=(first|last)")
# What an output shows by itself, which is all that there is when a text is read out of a store.
_ALONE = Geometry()


@dataclass(frozen=True)
class Reducer:
    """A reduction of the registry, and how it reads an output.

    `prefix` tokens come before those of the grid; None where their number shows it (a square, or one more than a square).
    `channels` says whether a map has them first or last; None where its shape shows it (a square, then another number: last).
    """

    reduction: Reduction
    prefix: int | None = None
    channels: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reducer:
        """Reads `grid(7)`, `avg(prefix=5)`. Raises `ConfigError` for anything that is no reducer."""
        match = _SPELLING.fullmatch(text.replace(" ", ""))
        name, brackets = match.groups() if match else ("", None)
        arguments = [] if brackets is None else brackets.split(",")
        channels = _CHANNELS.fullmatch(arguments[-1]) if arguments else None
        arguments = arguments[:-1] if channels else arguments
        prefix = _PREFIX.fullmatch(arguments[-1]) if arguments else None
        known = REDUCERS.get(name)
        reduction = known.read(arguments[:-1] if prefix else arguments) if known else None
        if reduction is None:
            names = [each.spelling for each in REDUCERS.values()]
            raise ConfigError(f"there is no reducer {text!r}: {did_you_mean(text, names)}")
        return cls(reduction, int(prefix[1]) if prefix else None, channels[1] if channels else None)

    @classmethod
    def default(cls, shape: tuple[int, ...], geometry: Geometry = _ALONE) -> Reducer:
        """For an output of this shape (without batch): `grid(7)` for maps and grids of patches above 7x7, else `none`."""
        grid = cls(Grid((DEFAULT_GRID, DEFAULT_GRID)))
        rectangle = grid._rectangle(shape, geometry)
        found = grid if rectangle and min(rectangle) > DEFAULT_GRID else cls(Whole())
        return found.settled(shape, geometry)

    def settled(self, shape: tuple[int, ...], geometry: Geometry) -> Reducer:
        """As it is written in a store: with everything about an output of this shape that the output itself does not show.

        What it shows is not written: `grid(7)` of a plain ViT is one fingerprint, whoever built it.
        """
        if len(shape) not in (2, 3):
            return self
        reduction = self.reduction.settled(
            self._rectangle(shape, geometry), of_tokens=len(shape) == 2, class_token=geometry.class_token
        )
        found = replace(self, reduction=reduction)
        if len(shape) == 3:
            last = self._is_last(shape, geometry)
            known = self.channels is not None or last == _ALONE.is_channels_last(shape)
            return found if known else replace(found, channels="last" if last else "first")
        before = self._before(shape, geometry)
        known = self.prefix is not None or before in (None, found._before(shape))
        return found if known or not reduction.notes_prefix else replace(found, prefix=before)

    def __str__(self) -> str:
        words = [*self.reduction.arguments]
        words += [] if self.prefix is None else [f"prefix={self.prefix}"]
        words += [] if self.channels is None else [f"channels={self.channels}"]
        return f"{self.reduction.name}({','.join(words)})" if words else self.reduction.name

    def problem(self, shape: tuple[int, ...], geometry: Geometry = _ALONE) -> str | None:
        """Why it cannot reduce an output of this shape (without batch); None if it can."""
        if len(shape) not in (1, 2, 3):
            return f"its output has shape {list(shape)}, which is no map, no tokens and no vector"
        if self.prefix is not None and (len(shape) != 2 or self.prefix >= shape[0]):
            return f"{self} is for more than {self.prefix} tokens, but its output has shape {list(shape)}"
        if self.channels is not None and len(shape) != 3:
            return f"{self} is for maps, but its output has shape {list(shape)}"
        if len(shape) == 2 and (problem := self._unclear(shape[0], geometry)):
            return problem
        settled = self.settled(shape, geometry)
        as_map = map_shape(shape, channels_last=len(shape) == 3 and self._is_last(shape, geometry))
        problem = settled.reduction.problem(as_map, self._before(shape, geometry) or 0)
        return problem and f"{self} is {problem}"

    def __call__(self, output: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The reduced output, float32; it may share memory with `output` where nothing had to be done."""
        # First of all, since an average over 49 positions in bf16, with its 8 bits, would round each of its sums.
        values = output.float()
        if values.ndim == 2:
            return values
        shape = tuple(values.shape[1:])
        if values.ndim == 4:
            return self.reduction.of_map(values.permute(0, 3, 1, 2) if self._is_last(shape, _ALONE) else values)
        return self.reduction.of_tokens(values, self._before(shape) or 0)

    def _unclear(self, tokens: int, geometry: Geometry) -> str | None:
        """Why it cannot be told which tokens are patches, or how these lie, where it has to be."""
        if not self.reduction.notes_prefix or geometry == _ALONE:
            return None
        pixels, before = f"{geometry.size[0]} x {geometry.size[1]} pixels", self._before((tokens,), geometry)
        # Registers in an average are a fault that nothing shows (https://github.com/huggingface/transformers/issues/37817).
        if before is None:
            likely = geometry.likely(tokens) or (1, tokens)
            example = replace(self, prefix=tokens - math.prod(likely))
            return (
                f"{self} is for patches, but its {tokens} tokens fill no grid of {pixels}, nor with one before them or those "
                f"that the backbone declares (num_prefix_tokens): say how many come before them, as in {example} for "
                f"{likely[0]} x {likely[1]} patches"
            )
        if self.reduction.needs_rectangle and not geometry.arranged(tokens - before):
            return (
                f"{self} is for patches that lie as the input does, but {tokens - before} fill no grid of {pixels}: say how they "
                f"lie, as in grid(7,of=18x24,prefix={before})"
            )
        return None

    def _rectangle(self, shape: tuple[int, ...], geometry: Geometry) -> tuple[int, int] | None:
        """Rows and columns of the map, or of the patches that so many tokens are; None where there are none."""
        if len(shape) == 3:
            _, rows, columns = map_shape(shape, channels_last=self._is_last(shape, geometry))
            return rows, columns
        before = self._before(shape, geometry) if len(shape) == 2 else None
        return None if before is None else geometry.arranged(shape[0] - before)

    def _before(self, shape: tuple[int, ...], geometry: Geometry = _ALONE) -> int | None:
        """How many tokens come before the grid in an output of this shape; None where that is unclear."""
        if self.prefix is not None:
            return self.prefix
        before = geometry.before(shape[0]) if len(shape) in (1, 2) else None
        # Texts of stores are clear: what their numbers do not show was written.
        return 0 if before is None and geometry == _ALONE else before

    def _is_last(self, shape: tuple[int, ...], geometry: Geometry) -> bool:
        return geometry.is_channels_last(shape) if self.channels is None else self.channels == "last"


def map_shape(shape: tuple[int, ...], *, channels_last: bool) -> tuple[int, ...]:
    """(channels, height, width) of a map of this shape (without batch)."""
    return (shape[2], *shape[:2]) if channels_last else shape


def positions(shape: tuple[int, ...], geometry: Geometry = _ALONE) -> int:
    """Of how many positions in the image an output of this shape (without batch) speaks; 1 for a vector."""
    if len(shape) == 2:
        return shape[0] - (geometry.before(shape[0]) or 0)
    return math.prod(map_shape(shape, channels_last=geometry.is_channels_last(shape))[1:]) if len(shape) == 3 else 1
