"""TIFF beyond Pillow: more channels than it knows, or more than eight bits in each of several, by way of tifffile.

The channels are those of the first page; where a backbone takes neither one nor three, also pages in grey, as many as it takes.
Metadata of vendors (OME, ImageJ, GeoTIFF) are not read: they may name other files.
"""

from __future__ import annotations

import io
import math
import zlib
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from PIL import ExifTags, Image, ImageOps

from udta.errors import ImageError
from udta.images._formats import format_of, missing_reader
from udta.images._pixel_spec import Bands, PixelSpec, Window
from udta.images._quiet import silence_log
from udta.images._size import MAX_BYTES, check_size, one_at_a_time
from udta.images._whole_file import WholeFile

# None, LZW, deflate under both of its numbers, PackBits (TIFF 6.0 and its technical notes). Others are lossy or have no bound on
# what they unpack to.
_DEFLATED = (8, 32946)
_COMPRESSIONS = (1, 5, *_DEFLATED, 32773)
_DAMAGED = "is a damaged or unusual TIFF"
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2


def is_tiff(content: bytes) -> bool:
    """Whether a file is a TIFF or BigTIFF, by its first bytes."""
    return format_of(content[:4]) == "TIFF"


class TiffFile(WholeFile):
    """A TIFF file. `name` is what errors call the image."""

    def decode(self, reduction: int, pixels: PixelSpec) -> Bands:
        """The channels, upright.

        Raises:
            ImageError: tifffile is missing, or what unpacks the pixels; damaged, over `MAX_BYTES`; another number of channels.
        """
        try:
            import tifffile
        except ImportError:
            reason = f"has more channels or bits than Pillow reads: {missing_reader('TIFF')}"
            raise ImageError(self._name, reason) from None
        silence_log("tifffile")
        try:
            # Pages alone, and never a series: of an OME-TIFF that may be spread over files.
            with tifffile.TiffFile(io.BytesIO(self._content)) as file:
                return self._bands(_pages(file, pixels.channels), pixels)
        except ImageError:
            raise
        except Exception as error:  # of a damaged file it may be any
            said = str(error) or type(error).__name__
            problem = "is packed in a way that needs pip install imagecodecs" if "imagecodecs" in said else _DAMAGED
            raise ImageError(self._name, f"{problem} ({said})") from error

    def _bands(self, pages: list[Any], pixels: PixelSpec) -> Bands:
        first = pages[0]
        if first.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB) or first.axes not in ("YX", "YXS", "SYX"):
            raise ImageError(self._name, f"is a TIFF of a kind that is not read ({first.photometric!s:.40})")
        width, height = first.imagewidth, first.imagelength
        pixel_bytes = first.samplesperpixel * first.dtype.itemsize * len(pages)
        check_size(self._name, width, height, pixel_bytes)
        with one_at_a_time(width * height * pixel_bytes // 3):
            for page in pages:
                self._check_segments(page)
            planes = [plane for page in pages for plane in _planes(page)]
            bands = [self._upright(self._eight_bits(plane, first, pixels.window), first) for plane in planes]
        if len(bands) == pixels.channels and len(bands) != 3:
            return tuple(bands)
        if len(bands) not in (1, 3):
            pixels.refuse(self._name, len(bands))
        return pixels.of_picture(bands[0] if len(bands) == 1 else Image.merge("RGB", bands), self._name)

    def _check_segments(self, page: Any) -> None:
        """Strips and tiles are whole, and unpack to no more than they should: deflate could make a gigabyte of a megabyte."""
        if page.compression not in _COMPRESSIONS:
            raise ImageError(
                self._name, f"is a TIFF whose compression is not read ({page.compression!s:.40}), convert it"
            )
        # Of a tile, which may claim to be larger than its image.
        most = math.prod(page.chunks) * page.dtype.itemsize
        if most > MAX_BYTES:
            raise ImageError(self._name, f"has tiles over the limit of {MAX_BYTES // 10**6} megabytes")
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset + count > len(self._content):
                raise ImageError(self._name, "is truncated")
            if page.compression in _DEFLATED and count:
                unpacker = zlib.decompressobj()
                unpacker.decompress(self._content[offset : offset + count], most + 1)
                if not unpacker.eof:
                    raise ImageError(self._name, "is damaged: a part of it unpacks to more or less than it should")

    def _eight_bits(
        self, plane: Num[np.ndarray, "height width"], page: Any, window: Window
    ) -> UInt8[np.ndarray, "height width"]:
        bits = page.bitspersample
        if plane.dtype.kind not in "buif":
            raise ImageError(self._name, f"has pixels of type {plane.dtype}, which are no values of brightness")
        if plane.dtype != np.uint8 or bits != 8:
            # Fewer bits than eight are no more than a screen has: a window is for more.
            known = (0, 2**bits - 1) if plane.dtype.kind in "bu" and bits <= 16 else None
            plane = (window if bits > 8 else Window()).eight_bits(plane, self._name, known)
        return 255 - plane if page.photometric == _MIN_IS_WHITE else plane

    def _upright(self, plane: UInt8[np.ndarray, "height width"], page: Any) -> Image.Image:
        band, tag = Image.fromarray(plane), page.tags.get(ExifTags.Base.Orientation)
        if tag is None:
            return band
        band.getexif()[ExifTags.Base.Orientation] = tag.value
        return ImageOps.exif_transpose(band)


def _pages(file: Any, channels: int) -> list[Any]:
    first = file.pages[0]
    stacked = channels not in (1, 3) and first.samplesperpixel == 1 and len(file.pages) == channels
    return [file.pages[index] for index in range(channels)] if stacked else [first]


def _planes(page: Any) -> list[Num[np.ndarray, "height width"]]:
    values = page.asarray(maxworkers=1)
    if page.axes == "YX":
        return [values]
    return list(np.moveaxis(values, -1, 0) if page.axes == "YXS" else values)
