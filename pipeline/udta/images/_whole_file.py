"""What formats have in common that are read whole, by libraries of their own: no smaller decoding, no colour profile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from udta.images._pixel_spec import Bands, PixelSpec


class WholeFile(ABC):
    """A file of such a format. `name` is what errors call the image."""

    colour_problem: ClassVar[str] = ""
    is_plain_jpeg: ClassVar[bool] = False

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name

    def gives(self, pixels: PixelSpec) -> bool:
        """Always: what cannot be had of it is an error of `decode`."""
        return True

    def reduction(self, side: int | None) -> int:
        """Every pixel has to be decoded whatever size is wanted."""
        return 1

    @abstractmethod
    def decode(self, reduction: int, pixels: PixelSpec) -> Bands:
        """The channels of one image. Raises `ImageError`: what it is not, or that cannot be read."""
