"""What pixels a backbone is given: how many channels of eight bits, and which stored values become black and white.

Eight bits stay as they are. What has more (16 bits, whole or floating numbers, CT numbers) is mapped to them linearly by a
window: `low:high` for all images alike, in the units of the file, of a DICOM after its rescale slope and intercept (Hounsfield
units for CT); `minmax`, each image by its own smallest and largest value; `auto`, what the file itself says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image

from udta.errors import ConfigError, ImageError
from udta.images.ops.op import show

# One image in RGB or grey, or as many grey ones as there are channels: Pillow has no image of two or five channels.
Bands = tuple[Image.Image, ...]


@dataclass(frozen=True)
class Window:
    """`str` gives its one canonical spelling, which `parse` reads back as an equal value; without `bounds` it is a name."""

    name: str = "auto"
    bounds: tuple[float, float] | None = None

    @classmethod
    def parse(cls, text: str) -> Window:
        """`auto`, `minmax` or `low:high`. Raises `ConfigError` for anything else."""
        word = text.strip()
        if word in ("auto", "minmax"):
            return cls(word)
        low, _, high = word.partition(":")
        try:
            bounds = float(low), float(high)
        except ValueError:
            bounds = math.nan, math.nan
        if not -math.inf < bounds[0] < bounds[1] < math.inf:
            raise ConfigError(
                f"window is {text!r}: give auto, minmax, or the values of black and white as LOW:HIGH, such as -160:240"
            )
        return cls("", bounds)

    def __str__(self) -> str:
        return ":".join(map(show, self.bounds)) if self.bounds else self.name

    @property
    def is_auto(self) -> bool:
        """Whether each file says itself what its values mean."""
        return self == AUTO

    def eight_bits(
        self, values: Num[np.ndarray, "*shape"], name: str, own: tuple[float, float] | None = None
    ) -> UInt8[np.ndarray, "*shape"]:
        """`round(255 * (value - low) / (high - low))`, cut off at 0 and 255; what is no number becomes black.

        Args:
            values: as stored, or after a DICOM's rescaling.
            name: what errors call the image.
            own: the bounds that the file says itself.

        Raises:
            ImageError: neither the window nor the file says what is black and white.
        """
        bounds = _extremes(values) if self.name == "minmax" else self.bounds or own
        if bounds is None:
            kind = "floating point" if values.dtype.kind == "f" else f"{8 * values.dtype.itemsize}-bit"
            raise ImageError(
                name,
                f"has {kind} pixels, whose scale is not known; convert it to 8 bits, or say what is black and white with "
                "--window LOW:HIGH",
            )
        low, high = bounds
        # float32 holds 16 bits times 255 exactly.
        scaled: np.ndarray = np.array(values, np.float32 if values.dtype.itemsize <= 2 else np.float64)
        scaled -= low
        scaled *= 255
        scaled /= high - low
        # In place: of 178 megapixels a copy is a gigabyte.
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled)
        return scaled.astype(np.uint8)


AUTO, MINMAX = Window(), Window("minmax")


@dataclass(frozen=True)
class PixelSpec:
    """`channels` of eight bits, by `window` where a file has more bits."""

    channels: int = 3
    window: Window = AUTO

    def of_picture(self, image: Image.Image, name: str) -> Bands:
        """An upright image in grey or RGB: grey is replicated to three channels, and colours become luma (ITU-R 601) in one.

        Raises:
            ImageError: any other number of channels is wanted.
        """
        if self.channels not in (1, 3):
            self.refuse(name, len(image.getbands()))
        mode = "RGB" if self.channels == 3 else "L"
        return (image if image.mode == mode else image.convert(mode),)

    def refuse(self, name: str, channels: int) -> None:
        """Raises `ImageError`: an image of so many channels is not what is wanted."""
        raise ImageError(
            name,
            f"has {channels} channel{'s' * (channels > 1)}, but the backbone takes {self.channels}"
            + ("" if self.channels in (1, 3) else "; such images are read out of TIFF alone"),
        )


RGB = PixelSpec()


@runtime_checkable
class Picture(Protocol):
    """What views are made of: a file that is decoded when somebody asks, or an image that a program has."""

    def bands(self, side: int | None = None, pixels: PixelSpec = RGB) -> Bands:
        """See `udta.images._decode.EncodedImage.bands`."""


def _extremes(values: Num[np.ndarray, "*shape"]) -> tuple[float, float]:
    """The smallest and the largest number; of an image of one value a window in which it is black."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return low, high if high > low else low + 1
