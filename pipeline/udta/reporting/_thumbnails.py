"""Small pictures of the photographs of a store's rows, read where the store says that they were."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from udta._console.terminal import one_line
from udta.errors import UdtaError
from udta.extraction.recompute import manifest_of
from udta.images import EncodedImage, Manifest, ViewSpec
from udta.reporting._page import Picture
from udta.store import Store

if TYPE_CHECKING:
    from PIL import Image

SIDE = 96  # CSS pixels of the longer one; a JPEG of it has some 3 KB, so that two hundred stay below a megabyte
_QUALITY = 78


@dataclass
class Thumbnails:
    """Of the rows of a store; `images` is the folder that its ids are relative to, where it was at extraction by default.

    `problem` is why a picture could not be had, of the first one: a photograph that is gone, or that changed since.
    """

    store: Store
    images: str | Path | None = None
    problem: str = ""

    def picture(self, row: int, *lines: str) -> Picture | None:
        """A picture with `lines` below it; its alternative text is the id and these. None where there is none, see `problem`."""
        from PIL import Image

        name = one_line(self.store.ids[row])
        photograph = self.photograph(row)
        if photograph is None:
            return None
        photograph.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return picture_of(photograph, ": ".join(part for part in (name, ", ".join(lines)) if part), *lines)

    def photograph(self, row: int, side: int = SIDE) -> Image.Image | None:
        """The photograph itself, upright, in RGB, decoded no smaller than `side` where that saves time; None as `picture`."""
        from PIL import Image

        if self._manifest is None:
            return None
        try:
            sample = self._manifest.sample(row)
            # As stores are made of them: damaged, bombs, or of another content than then, and it is refused.
            pixels = EncodedImage(sample.read(), sample.id).pixels(side)
        except UdtaError as error:
            self.problem = self.problem or str(error)
            return None
        return Image.fromarray(pixels)

    def view(self, row: int) -> Image.Image | None:
        """The photograph as the backbone saw it, in view 0; None as `picture`."""
        from PIL import Image

        if self._manifest is None:
            return None
        try:
            sample = self._manifest.sample(row)
            views = ViewSpec.from_fields(self.store.fingerprint.fields)
            pixels = views.view(EncodedImage(sample.read(), sample.id), sample.sha256, 0)
        except UdtaError as error:
            self.problem = self.problem or str(error)
            return None
        return Image.fromarray(pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0])

    @cached_property
    def _manifest(self) -> Manifest | None:
        try:
            return manifest_of(self.store, self.images)
        except UdtaError as error:
            self.problem = str(error)
            return None


def picture_of(image: Image.Image, alt: str, *lines: str) -> Picture:
    """An image as a JPEG in the page, of the size that it has."""
    written = io.BytesIO()
    image.convert("RGB").save(written, "JPEG", quality=_QUALITY, optimize=True)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}", alt, lines)
