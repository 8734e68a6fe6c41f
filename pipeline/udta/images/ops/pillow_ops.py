"""The operations on Pillow images, a class each; `OPS` lists them.

Their random numbers are `Generator.random()` alone: NumPy keeps the bit streams of its generators, but not how other
distributions are made from them (NEP 19), and the views of a store have to outlive a NumPy release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageEnhance

from udta.errors import ImageError
from udta.images._size import MAX_PIXELS
from udta.images.ops.op import Op, Size, Span, choice, number, span, whole

_BILINEAR = Image.Resampling.BILINEAR
FILTERS: Mapping[str, Image.Resampling] = {
    "bilinear": _BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Resize(Op):
    """`resize(n,filter=f)`: the shorter side becomes n, the longer one is rounded down; `resize(h,w,filter=f)`: exactly that.

    The filter is `bilinear`, `bicubic` or `lanczos`, with antialiasing, bit for bit `torchvision.transforms.Resize` with that
    interpolation on a PIL image.
    """

    name = "resize"
    height: int = field(metadata=whole(1))
    width: int | None = field(default=None, metadata=whole(1))
    filter: str = field(default="bilinear", kw_only=True, metadata=choice(FILTERS))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws nothing. Raises `ImageError`: the result would have more than `MAX_PIXELS`."""
        height, width = self.size_of(image.width, image.height)
        return image.resize((width, height), FILTERS[self.filter])

    def size_of(self, width: int, height: int) -> Size:
        """(height, width) of what comes out of an image.

        Raises:
            ImageError: they are more than `MAX_PIXELS`, as from an image of 1x5000 pixels.
        """
        # A 1x5000 image at resize(256) would be 1,280,000 pixels wide: a small file that takes all memory.
        high, wide = self._target((height, width))
        if high * wide > MAX_PIXELS:
            raise ImageError(f"image of {width}x{height}", f"is too elongated: {self} makes it {wide}x{high}")
        return high, wide

    @property
    def input_side(self) -> int:
        """The longer one of what comes out, if both are given."""
        # A JPEG decoded at this shorter side is enlarged in neither direction.
        return max(self.height, self.width or 0)

    def output_size(self, size: Size | None) -> Size | None:
        """(height, width) for an input of this size; None when the input's is not known and only the shorter side is given."""
        return self._target(size) if size or self.width else None

    def _target(self, size: Size | None) -> Size:
        if self.width is not None or size is None:
            return self.height, self.width or self.height
        height, width = size
        # Down, as torchvision does it; rounding to the nearest would differ by a pixel.
        longer = int(self.height * max(size) / min(size))
        return (longer, self.height) if width <= height else (self.height, longer)


@dataclass(frozen=True)
class Square(Op):
    """An operation whose first argument n is the side of the square that comes out."""

    side: int = field(metadata=whole(1))

    def output_size(self, size: Size | None) -> Size:
        """(side, side), whatever goes in."""
        return self.side, self.side


@dataclass(frozen=True)
class CentreCrop(Square):
    """`centre_crop(n)`: n×n from the middle, black where the image is smaller; as `torchvision.transforms.CenterCrop`."""

    name = "centre_crop"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws nothing."""
        return _crop(image, *self.corner(*image.size), self.side)

    def corner(self, width: int, height: int) -> tuple[int, int]:
        """(left, top); negative where the image is smaller."""
        return _middle(width, self.side), _middle(height, self.side)


@dataclass(frozen=True)
class RandomResizedCrop(Square):
    """`random_resized_crop(n,scale=a..b,ratio=c..d)`: a part of the image, resized to n×n (Szegedy et al. 2015).

    The part has a share of the area uniform in `scale` and a width:height log-uniform in `ratio`; after ten draws that do not
    fit, the largest middle part whose ratio is allowed. It is cut by Pillow's `box`, whose filter sees beyond the cut.
    """

    name = "random_resized_crop"
    is_random = True
    scale: Span = field(default=Span(0.08, 1.0), kw_only=True, metadata=span(1.0))
    ratio: Span = field(default=Span(3 / 4, 4 / 3), kw_only=True, metadata=span(100.0))

    @property
    def input_side(self) -> int:
        """So that the shorter side of the smallest part is not enlarged: sqrt(scale * ratio) of that of a square image."""
        # Parts of a square of side 1 have the sides sqrt(scale * ratio) and sqrt(scale / ratio).
        narrowest = min(self.ratio.low, 1 / self.ratio.high, 1.0)
        return math.ceil(self.side / math.sqrt(self.scale.low * narrowest))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws two numbers a try, and two for where the part lies."""
        left, top, width, height = self.part(image.width, image.height, rng)
        # `box` cuts and resizes in one pass: no copy of the part, and a filter that reaches over the cut.
        return image.resize((self.side, self.side), _BILINEAR, box=(left, top, left + width, top + height))

    def part(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """(left, top, width, height) of what is resized."""
        logarithms = Span(math.log(self.ratio.low), math.log(self.ratio.high))
        for _ in range(10):
            # The order of these draws is part of what a seed means: another one gives other views.
            area = width * height * self.scale.at(rng.random())
            ratio = math.exp(logarithms.at(rng.random()))
            # Log-uniform, so that 3:4 is as likely as 4:3 (torchvision does the same).
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.random() * (width - w + 1)), int(rng.random() * (height - h + 1)), w, h
        # A strip that no allowed ratio fits into: its middle, as torchvision falls back too, and without a further draw.
        w = max(1, min(width, round(height * self.ratio.high)))
        h = max(1, min(height, round(width / self.ratio.low)))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class RandomCrop(Square):
    """`random_crop(n,pad=p)`: n×n from anywhere in the image with p black pixels around it."""

    name = "random_crop"
    is_random = True
    pad: int = field(default=0, kw_only=True, metadata=whole(0))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws two numbers: from the left, from the top."""
        return _crop(image, *self.corner(*image.size, rng), self.side)

    def corner(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int]:
        """(left, top) of the part; outside of the image where it is padded."""
        return self._offset(width, rng.random()), self._offset(height, rng.random())

    def _offset(self, length: int, fraction: float) -> int:
        slack = length + 2 * self.pad - self.side
        return int(fraction * (slack + 1)) - self.pad if slack >= 0 else _middle(length, self.side)


@dataclass(frozen=True)
class Flip(Op):
    """`flip`: left to right, every other time."""

    name = "flip"
    is_random = True

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws one number."""
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.drawn(rng) else image

    def drawn(self, rng: np.random.Generator) -> bool:
        """Whether this one is flipped."""
        return rng.random() < 0.5


@dataclass(frozen=True)
class Jitter(Op):
    """`jitter(s)`: brightness, contrast and saturation, in this order, each times a factor uniform in 1±s."""

    name = "jitter"
    is_random = is_colour = True
    strength: float = field(metadata=number(1.0))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws three numbers."""
        # A fixed order, where torchvision's ColorJitter draws one: three draws a view, whatever comes out.
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for enhancer, factor in zip(enhancers, self.factors(rng), strict=True):
            image = enhancer(image).enhance(factor)
        return image

    def factors(self, rng: np.random.Generator) -> list[float]:
        """Of brightness, contrast and saturation."""
        return [1 + self.strength * (2 * rng.random() - 1) for _ in range(3)]


@dataclass(frozen=True)
class Rotate(Op):
    """`rotate(d)`: about the middle by an angle uniform in ±d degrees, bilinear, black where nothing was."""

    name = "rotate"
    is_random = True
    degrees: float = field(metadata=number(180.0))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws one number."""
        # Not expanded: the size must not depend on the angle, `output_size` has promised it.
        return image.rotate(self.degrees * (2 * rng.random() - 1), _BILINEAR)


@dataclass(frozen=True)
class Grey(Op):
    """`grey`: the luma of ITU-R 601 in all three channels."""

    name = "grey"
    is_colour = True

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Draws nothing."""
        return image.convert("L").convert("RGB")  # three channels stay, as a backbone takes them


# What a transform string may name, those in the fingerprints of stores too: names can be added, never changed. A new operation is
# a class above and a line here; its form on a GPU, if any, is in `gpu_ops`.
OPS: Mapping[str, type[Op]] = {
    op.name: op
    for op in (
        Resize,
        CentreCrop,
        RandomResizedCrop,
        RandomCrop,
        Flip,
        Jitter,
        Rotate,
        Grey,
    )
}


def _middle(length: int, side: int) -> int:
    """Where a centred cut starts; negative where it is wider than the image. Rounded as torchvision does."""
    return round((length - side) / 2) if length >= side else -((side - length) // 2)


def _crop(image: Image.Image, left: int, top: int, side: int) -> Image.Image:
    """Pillow fills what lies outside of the image with zeros."""
    return image.crop((left, top, left + side, top + side))
