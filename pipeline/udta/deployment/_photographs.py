"""Images that a program is tried on: those that are named, those that the features were made of, or else made-up ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from udta.adapters import AdapterHeader
from udta.errors import DataError

# Tried, and looked at to choose them from: a folder of a million is not walked through.
SAMPLES, _LISTED = 16, 20_000
_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))


def photographs(
    images: str | Path | None, headers: Mapping[str, AdapterHeader], channels: int
) -> tuple[list[Path] | list[np.ndarray], str]:
    """Up to `SAMPLES` images from all over a folder, and where they are from, for people.

    Args:
        images: a folder, or an image; by default the folder that an adapter's features were made of.
        headers: of the adapters.
        channels: that images have to have, of those that are made up.

    Raises:
        DataError: `images` is named, and there is none.
    """
    if images is not None:
        found = _spread(Path(images))
        if not found:
            raise DataError(f"{images}: there is no image, which the program could be tried on")
        return found, str(images)
    for header in headers.values():
        remembered = header.source.get("images")
        # A file says so, so nothing but what lies below that folder is read, and of that nothing is shown.
        if isinstance(remembered, str) and Path(remembered).is_absolute() and (found := _spread(Path(remembered))):
            return found, remembered
    return list(_made_up(channels)), "made up, because the photographs of the training are not there"


def _spread(images: Path) -> list[Path]:
    if images.is_file():
        return [images]
    files = (path for path in images.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    listed = sorted(islice(files, _LISTED))
    count = min(SAMPLES, len(listed))
    return [listed[number * len(listed) // count] for number in range(count)]


def _made_up(channels: int) -> Iterable[np.ndarray]:
    """Coarse and fine noise of random contrast: no photographs, but neither the flat grey that a network says one thing of."""
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        coarse = rng.integers(0, 256, (4, 5, channels)).astype(np.uint8)
        bands = [np.asarray(Image.fromarray(band).resize((320, 256))) for band in np.moveaxis(coarse, 2, 0)]
        noise = rng.normal(0, rng.uniform(5, 40), (256, 320, channels))
        pixels = np.clip(np.stack(bands, axis=2) + noise, 0, 255).astype(np.uint8)
        yield pixels[..., 0] if channels == 1 else pixels
