"""Files to pixels: what any image file becomes before a transform sees it.

Which library reads a file is decided by its content: Pillow, pydicom for DICOM, tifffile for what Pillow cannot give of a TIFF.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from udta.errors import ImageError
from udta.images._dicom_file import DicomFile, is_dicom
from udta.images._image_file import read_image_file
from udta.images._pillow_file import PillowFile
from udta.images._pixel_spec import RGB, Bands, PixelSpec
from udta.images._quiet import silence_decoders
from udta.images._tiff_file import TiffFile, is_tiff


def decode_image(
    source: Path | bytes, name: str, pixels: PixelSpec = RGB
) -> UInt8[np.ndarray, "height width channels"]:
    """The pixels of an image file in full size, uint8, upright and in sRGB whatever the file holds.

    Args:
        source: the file, or its content.
        name: what errors call the image, its id.
        pixels: channels, and the window of what has more than eight bits.

    Raises:
        ImageError: it cannot be read, is empty, no image, damaged, over `MAX_PIXELS`, or has other channels.
    """
    content = source if isinstance(source, bytes) else read_image_file(source, name)
    return EncodedImage(content, name).pixels(pixels=pixels)


class EncodedImage:
    """An image file; every size that is asked for is decoded once. For one thread at a time.

    Args:
        content: of the file.
        name: what errors call the image, its id.

    Raises:
        ImageError: empty, no image, or over `MAX_PIXELS`.
    """

    def __init__(self, content: bytes, name: str) -> None:
        if not content:
            raise ImageError(name, "is empty (0 bytes)")
        # At each image: whoever leaves a `warnings.catch_warnings` or calls `resetwarnings` has thrown the filter out.
        silence_decoders()
        self._content, self._name = content, name
        self._file = _opened(content, name)
        self._decoded: dict[tuple[int, PixelSpec], Bands] = {}

    @property
    def is_plain_jpeg(self) -> bool:
        """Whether a decoder that knows nothing of Pillow's care may have it; no, once its pixels were decoded."""
        return self._file.is_plain_jpeg

    @property
    def colour_problem(self) -> str:
        """Why its colour profile is not used, and its values are taken as sRGB; empty where nothing is wrong."""
        return self._file.colour_problem

    def bands(self, side: int | None = None, pixels: PixelSpec = RGB) -> Bands:
        """One image in RGB (in sRGB) or grey, or as many grey ones as channels are wanted; to be read and never changed.

        Colours with another profile are converted; EXIF orientation is applied; CMYK, palettes and greyscale become RGB; 16 bits
        are mapped to 8 by the window; transparency is composited on white; of an animation or a multi-page file the first frame
        is taken.

        Args:
            side: what the shorter side will be resized to; a JPEG that is much larger is decoded at 1/2, 1/4 or 1/8.
            pixels: channels, and the window of what has more than eight bits.

        Raises:
            ImageError: unreadable, truncated, of a pixel type without a known scale, or of other channels.
        """
        key = self._file.reduction(side), pixels
        if key not in self._decoded:
            self._decoded[key] = self._decode(*key)
        return self._decoded[key]

    def pixels(self, side: int | None = None, pixels: PixelSpec = RGB) -> UInt8[np.ndarray, "height width channels"]:
        """The values of `bands`, uint8, in an array of their own."""
        return np.dstack([np.asarray(band) for band in self.bands(side, pixels)])

    def _decode(self, reduction: int, pixels: PixelSpec) -> Bands:
        beyond = not self._file.gives(pixels) and is_tiff(self._content)
        return (TiffFile(self._content, self._name) if beyond else self._file).decode(reduction, pixels)


def _opened(content: bytes, name: str) -> PillowFile | DicomFile | TiffFile:
    if is_dicom(content):
        return DicomFile(content, name)
    try:
        return PillowFile(content, name)
    except ImageError:
        if is_tiff(content):  # of pixels that Pillow does not know
            return TiffFile(content, name)
        raise
