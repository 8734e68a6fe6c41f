"""An image as a program has it: the path of a file, an image of Pillow, or an array of its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from udta.errors import ConfigError, ImageError
from udta.images._colour_profiles import conversion
from udta.images._decode import EncodedImage
from udta.images._image_file import read_image_file
from udta.images._pillow_file import settled
from udta.images._pixel_spec import RGB, Bands, Picture, PixelSpec

# `numpy.typing.ArrayLike` would promise lists of numbers too.
Given: TypeAlias = "str | Path | Image.Image | np.ndarray"

_MODES = {1: "L", 3: "RGB"}  # by how many channels an array has
_MOST_AXES = 3


class GivenImage:
    """One image, whose views are made by `picture`. For one thread at a time.

    A file and an image of Pillow become upright, in sRGB, transparency on white. An array is taken as it is: uint8 in RGB or
    grey, `[height, width]` or `[height, width, channels]`.

    Args:
        image: the image.
        name: what errors call it.

    Raises:
        ImageError: a file that cannot be read or is no image; an array of another type or shape.
    """

    def __init__(self, image: Given, name: str) -> None:
        self.picture: Picture
        if isinstance(image, str | Path):
            self._hashed: Any = read_image_file(image, name)
            self.picture = EncodedImage(self._hashed, name)
        else:
            self._hashed = image if isinstance(image, Image.Image) else _checked(image, name)
            self.picture = _picture_of(self._hashed, name)

    @property
    def sha256(self) -> str:
        """Of the file, else of the pixels: what random views are drawn by."""
        if isinstance(self._hashed, bytes):
            return hashlib.sha256(self._hashed).hexdigest()
        pixels = np.ascontiguousarray(self._hashed)
        return hashlib.sha256(f"{pixels.shape} ".encode() + pixels.tobytes()).hexdigest()


def images_in(given: Any) -> tuple[list[Given], list[str]]:
    """The images that a program hands over, one or several, and what to call each in errors.

    Args:
        given: an image, an array of several `[images, height, width, channels]`, or any number of images one after another.

    Raises:
        ConfigError: nothing of the kind, or no image.
    """
    if isinstance(given, str | Path | Image.Image):
        given = [given]
    elif hasattr(given, "__array__"):
        array = np.asarray(given)
        given = [array] if array.ndim <= _MOST_AXES else list(array)
    elif not isinstance(given, Iterable):
        raise ConfigError(f"images are {type(given).__name__}: give paths, images of Pillow, or uint8 arrays")
    images = [one if isinstance(one, str | Path | Image.Image) else np.asarray(one) for one in given]
    if not images:
        raise ConfigError("no image was given")
    return images, [str(one) if isinstance(one, str | Path) else f"image {at}" for at, one in enumerate(images)]


@dataclass(frozen=True)
class _Shown:
    """An image of Pillow; what has been decoded is settled as what a file holds."""

    image: Image.Image
    name: str

    def bands(self, side: int | None = None, pixels: PixelSpec = RGB) -> Bands:
        try:
            self.image.load()  # a file that was opened is decoded now
            return settled(
                self.image, self.name, pixels, conversion(self.image.info.get("icc_profile"), self.image.mode)
            )
        except ImageError:
            raise
        except Exception as error:  # as of files: it depends on the damage
            raise ImageError(self.name, f"is damaged or truncated ({error or type(error).__name__})") from error


@dataclass(frozen=True)
class _Channels:
    """As many channels as Pillow has no image of."""

    array: UInt8[np.ndarray, "height width channels"]
    name: str

    def bands(self, side: int | None = None, pixels: PixelSpec = RGB) -> Bands:
        n_channels = self.array.shape[2]
        if n_channels != pixels.channels:
            pixels.refuse(self.name, n_channels)
        return tuple(Image.fromarray(self.array[..., channel]) for channel in range(n_channels))


def _picture_of(image: Image.Image | UInt8[np.ndarray, "height width channels"], name: str) -> Picture:
    if isinstance(image, Image.Image):
        return _Shown(image, name)
    if image.shape[2] not in _MODES:
        return _Channels(image, name)
    return _Shown(Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image), name)


def _checked(image: Any, name: str) -> UInt8[np.ndarray, "height width channels"]:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, _MOST_AXES) or 0 in array.shape:
        raise ImageError(
            name,
            f"is an array {list(array.shape)} of {array.dtype}: give uint8 values from 0 to 255, [height, width] or "
            "[height, width, channels]",
        )
    return array if array.ndim == _MOST_AXES else array[:, :, None]
