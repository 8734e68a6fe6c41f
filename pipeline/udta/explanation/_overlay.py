"""Contributions over the photograph: where it speaks for a class, and where against it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from udta.explanation._contributions import Contributions

# Vermilion and blue of Okabe and Ito, which people with any colour blindness tell apart (https://jfly.uni-koeln.de/color/).
FOR, AGAINST = (213, 94, 0), (0, 114, 178)
# How much the strongest colour hides of the photograph.
_OPAQUE = 0.75


def density(found: Contributions, width: int, height: int) -> Float[np.ndarray, "height width"]:
    """Contributions of all taps as a picture: what an image would add all of which spoke as this pixel does.

    The mean over pixels is the sum of the maps, but for what smoothing moves at the borders. So taps of many small positions and
    of few large ones are drawn to one scale.
    """
    total = np.zeros((height, width), np.float32)
    for each in found.maps.values():
        # A share of the image is as large as there are positions few: values times their number are values by area.
        by_area = Image.fromarray(each * np.float32(each.size))
        total += np.asarray(by_area.resize((width, height), Image.Resampling.BILINEAR))
    return total


def largest(densities: Iterable[Float[np.ndarray, "height width"]]) -> float:
    """The largest magnitude in some of them: the end of a scale that they share."""
    return max((float(np.abs(each).max()) for each in densities), default=0.0)


def overlay(photo: Image.Image, found: Contributions, *, limit: float | None = None) -> Image.Image:
    """The photograph in grey, with vermilion where it speaks for the class and blue where it speaks against it.

    Args:
        photo: what the backbone saw, the view and not the file, so that positions lie where they belong; of any size.
        found: what `contributions` gave for it.
        limit: the density (see `density`) that gets the strongest colour; by default the largest of this image.

    Returns:
        RGB, of the size of `photo`.
    """
    values = density(found, photo.width, photo.height)
    # An image of which nothing speaks is grey.
    strength = np.clip(values / (limit or largest([values]) or 1.0), -1, 1)
    grey = np.asarray(photo.convert("L").convert("RGB"), np.float32)
    return Image.fromarray(_painted(grey, strength))


def _painted(
    grey: Float[np.ndarray, "height width 3"], strength: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    colour = np.where((strength > 0)[..., None], np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    opacity = _OPAQUE * np.abs(strength)[..., None]
    return np.asarray((1 - opacity) * grey + opacity * colour).round().astype(np.uint8)
