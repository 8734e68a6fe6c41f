"""Colour profiles: what is stored in another colour space than sRGB is converted to it, as every viewer does.

A photograph in Adobe RGB or Display P3 that is read as if it were sRGB is duller than it is. The conversion is LittleCMS's,
relative colourimetric with black point compensation, for RGB, grey and CMYK; without a profile, CMYK is converted as Pillow
does. A profile that changes no colour by more than two levels is one of the many spellings of sRGB and is left alone: ordinary
photographs keep their bits, and cost nothing. So is one that is broken or of another kind than the pixels, which is reported.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

# What LittleCMS takes, by the mode in which Pillow gives an image; everything else becomes RGB first.
_MODES = dict.fromkeys(("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"), "L") | {"CMYK": "CMYK"}
_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}

# Profiles that call themselves sRGB come from many makers and differ in rounding and in the curve near black.
_SAME_LEVELS = 2
_STEPS = 9  # of each colour of the grid on which profiles are compared


class Conversion(NamedTuple):
    """What a profile means for pixels: `transform` takes images in `mode` to RGB in sRGB, None where they stay as they are.

    `problem` says why a profile cannot be used.
    """

    mode: str
    transform: Callable[[Image.Image], Image.Image] | None = None
    problem: str = ""

    def apply(self, image: Image.Image) -> Image.Image:
        """RGB in sRGB, of an image without transparency."""
        assert self.transform is not None  # else there is nothing to apply
        return self.transform(image if image.mode == self.mode else image.convert(self.mode))


def conversion(profile: bytes | None, mode: str) -> Conversion:
    """What the profile of an image that Pillow gives in `mode` means for its pixels."""
    return _conversion(profile, _MODES.get(mode, "RGB")) if profile else Conversion(mode)


# A set of photographs has one profile or a few; building a transform takes 1 to 20 ms.
@lru_cache(maxsize=64)
def _conversion(content: bytes, mode: str) -> Conversion:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        space = profile.profile.xcolor_space
        if mode == "L" and space == _SPACES["RGB"]:  # grey values are colours too
            return _conversion(content, "RGB")
        if space != _SPACES[mode]:
            return Conversion(
                mode, problem=f"a colour profile for {space.strip()} in an image of another kind was ignored"
            )
        transform = _of_grey(profile) if mode == "L" else _built(profile, mode).apply
    # OSError where it is no profile at all, PyCMSError where no transform can be built of it.
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return Conversion(mode, problem="a broken colour profile was ignored")
    # CMYK has to become RGB in any case, and its profile says how: there are no bits to keep.
    return Conversion(mode) if mode != "CMYK" and _changes_nothing(transform, mode) else Conversion(mode, transform)


def _built(
    profile: ImageCms.ImageCmsProfile, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> ImageCms.ImageCmsTransform:
    # White stays white, and what is darker than the other space can show is scaled instead of cut off.
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, flags | ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)


def _of_grey(profile: ImageCms.ImageCmsProfile) -> Callable[[Image.Image], Image.Image]:
    """By a table: LittleCMS interpolates between too few points (9 levels off in the dark), or takes 0.5 s a megapixel."""
    table = _built(profile, "L", ImageCms.Flags.NOOPTIMIZE).apply(Image.fromarray(np.arange(256, dtype=np.uint8)[None]))
    columns = [list(channel.tobytes()) for channel in table.split()]
    return lambda image: Image.merge("RGB", [image.point(column) for column in columns])


def _changes_nothing(transform: Callable[[Image.Image], Image.Image], mode: str) -> bool:
    """Whether a grid of colours stays as it is."""
    if mode == "L":
        values = np.arange(256, dtype=np.uint8)[None]
        before = np.repeat(values[..., None], 3, axis=2)
    else:
        # 729 colours: profiles are smooth, one that agrees on them agrees between them.
        levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
        before = values = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    after = np.asarray(transform(Image.fromarray(values)))
    return bool(np.abs(after.astype(int) - before).max() <= _SAME_LEVELS)
