"""What Pillow reads: any file of its formats and plug-ins becomes upright pixels in sRGB, or a windowed grey.

Pillow decides per file what a decoded image is (palette indices, CMYK, 16 bits, rotated, half transparent); a backbone wants
eight bits, upright. All of that is settled here, once, and everything that Pillow raises on a damaged file becomes an
`ImageError`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from udta.errors import ImageError
from udta.images._colour_profiles import Conversion, conversion
from udta.images._formats import FORMATS, extra_format
from udta.images._jxl_size import jxl_size
from udta.images._pixel_spec import Bands, PixelSpec, Window
from udta.images._png_text import without_text
from udta.images._size import LARGE_PIXELS, MAX_PIXELS, check_size, one_at_a_time

# The marker EOI of JPEG (ITU-T T.81, B.1.1.3).
_END_OF_IMAGE = b"\xff\xd9"
_WHITE = (255, 255, 255, 255)

# A JPEG decodes to 1/2, 1/4 or 1/8 of its size for a fraction of the work (libjpeg leaves coefficients out). That is done where
# what comes out is still this many times as large as a transform wants it, as Pillow's own thumbnails do.
_REDUCING_GAP = 2

_BITS_PER_SAMPLE = 258  # TIFF 6.0, section 8
_SIXTEEN_BITS = (0, 65535)


class PillowFile:
    """An image file whose header was read. For one thread at a time.

    Args:
        content: of the file.
        name: what errors call the image, its id.

    Raises:
        ImageError: no image, or over `MAX_PIXELS`.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name
        self._profile: bytes | None = None
        # Decoding goes on from the header that was read: reading it again is a third of what a thumbnail costs in Python.
        self._opened: Image.Image | None = self._open()
        # MPO is what cameras with two lenses and some phones write: a JPEG with more of them behind it.
        self._size, self._is_jpeg = self._opened.size, self._opened.format in ("JPEG", "MPO")
        self._channels, self._is_deep = len(self._opened.getbands()), _is_deep(self._opened)
        self._colours = conversion(self._opened.info.get("icc_profile") or self._profile, self._opened.mode)
        # By the header alone, before a pixel is decoded: of one colour, 178 megapixels are a PNG of half a megabyte.
        check_size(name, *self._size)

    @property
    def is_plain_jpeg(self) -> bool:
        """Whether a decoder that knows nothing of Pillow's care may have it.

        A JPEG in YCbCr or grey, upright, not large, in sRGB, with its end at the end of the file: what is cut off somewhere,
        nvJPEG fills with grey and says nothing.
        """
        # Asked for after the pixels were decoded, there is no header left to look at: the answer is then no.
        image = self._opened
        if image is None or not self._is_jpeg or image.mode not in ("RGB", "L") or self._colours.transform:
            return False
        width, height = self._size
        end = self._content.endswith(_END_OF_IMAGE)
        # Adobe's marker APP14 with the transform 0 says that three channels are RGB as they are, not YCbCr.
        return (
            end and width * height <= LARGE_PIXELS and image.info.get("adobe_transform", 1) == 1 and _is_upright(image)
        )

    @property
    def colour_problem(self) -> str:
        """Why its colour profile is not used, and its values are taken as sRGB; empty where nothing is wrong."""
        return self._colours.problem

    def gives(self, pixels: PixelSpec) -> bool:
        """Whether these pixels can be had by way of Pillow: it has grey and RGB, and several channels of eight bits alone."""
        return pixels.channels in (1, 3) and (pixels.window.is_auto or not self._is_deep)

    def reduction(self, side: int | None) -> int:
        """By how much the image may be smaller than it is where its shorter side will be resized to `side`."""
        # Of other formats every pixel has to be decoded whatever size is wanted.
        if side is None or not self._is_jpeg:
            return 1
        return next((r for r in (8, 4, 2) if min(self._size) >= r * _REDUCING_GAP * side), 1)

    def decode(self, reduction: int, pixels: PixelSpec) -> Bands:
        """The image at this fraction of its size.

        Raises:
            ImageError: unreadable, truncated, or of a pixel type without a known scale; more channels than it has.
        """
        if pixels.channels not in (1, 3):
            pixels.refuse(self._name, self._channels)
        if not self.gives(pixels):
            reason = "has several channels of 16 bits, which a window is for in TIFF alone: convert it"
            raise ImageError(self._name, reason)
        try:
            return self._load(reduction, pixels)
        except ImageError:
            raise
        except Exception as error:  # OSError, SyntaxError, struct.error, IndexError: it depends on the damage
            if not self._lighten():  # long text may follow the pixels
                raise ImageError(self._name, f"is damaged or truncated ({error or type(error).__name__})") from error
        return self.decode(reduction, pixels)

    def _load(self, reduction: int, pixels: PixelSpec) -> Bands:
        # `load` uses an opened image up: the first decoding takes the header that was read, each further one opens its own.
        width, height = self._size
        opened, self._opened = self._opened or self._open(), None
        with one_at_a_time(width * height // reduction**2), opened as image:
            if reduction > 1:
                # Pillow picks the largest of 8, 4, 2 and 1 that leaves at least this size: of one rounded down, `reduction`.
                image.draft(None, (width // reduction, height // reduction))
            image.load()
            return settled(image, self._name, pixels, self._colours)

    def _open(self) -> Image.Image:
        """Reads the header only."""
        try:
            return Image.open(io.BytesIO(self._content), formats=FORMATS)
        except UnidentifiedImageError as error:
            # Only now, since asking may import a plug-in.
            if extra := extra_format(self._content, self._name):
                return self._open_extra(extra)
            reason = "is not an image (its content is none of " + ", ".join(FORMATS) + ")"
            raise ImageError(self._name, reason) from error
        except Image.DecompressionBombError as error:
            raise ImageError(self._name, f"is over the limit of {MAX_PIXELS // 10**6} megapixels") from error
        except Exception as error:
            if not self._lighten():
                raise ImageError(self._name, f"has a damaged header ({error or type(error).__name__})") from error
        return self._open()

    def _open_extra(self, extra: str) -> Image.Image:
        if extra == "JXL" and (size := jxl_size(self._content)):
            check_size(self._name, *size)
        try:
            return Image.open(io.BytesIO(self._content), formats=(extra,))
        except Exception as error:
            # That Pillow cannot identify it says no more, and with an address.
            said = "" if isinstance(error, UnidentifiedImageError) else f" ({error or type(error).__name__})"
            raise ImageError(self._name, f"is a damaged {extra}{said}") from error

    def _lighten(self) -> bool:
        """Take the text out of a PNG, and say whether there was any."""
        lighter = without_text(self._content)
        if lighter is None:
            return False
        self._content, self._profile = lighter[0], lighter[1] or self._profile
        return True


def settled(image: Image.Image, name: str, pixels: PixelSpec, colours: Conversion) -> Bands:
    """A decoded image of any mode, upright, in eight bits, in sRGB by `colours` where it is no measurement.

    Raises:
        ImageError: a pixel type without a known scale, or other channels than are wanted.
    """
    upright = _upright(image)
    shown = _eight_bits(upright, name, pixels.window)
    # What a window was stated for are measurements, and no colours.
    measured = shown is not upright and not pixels.window.is_auto
    return pixels.of_picture(shown if measured else _to_srgb(shown, colours), name)


def _upright(image: Image.Image) -> Image.Image:
    try:  # `exif_transpose` copies what is upright already
        return image if _is_upright(image) else ImageOps.exif_transpose(image)
    except Exception:  # broken metadata say nothing about the pixels, which have been decoded already
        return image


def _is_upright(image: Image.Image) -> bool:
    # 1 is "the first row is at the top, the first column at the left" (EXIF 2.3, tag 0x0112); absent means the same.
    return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)


def _is_deep(image: Image.Image) -> bool:
    """Whether a file has more than Pillow keeps of it: of several channels the upper eight bits, of 32 bits those of a sign."""
    tiles: Any = getattr(image, "tile", ())
    several = len(image.getbands()) > 1
    if image.format == "TIFF":
        bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))  # type: ignore[attr-defined]  # a TIFF has it
        return bits > 8 if several else bits == 32 and image.mode == "I"
    return several and image.format == "PNG" and bool(tiles) and ";16" in str(tiles[0][3])


def _eight_bits(image: Image.Image, name: str, window: Window) -> Image.Image:
    # Which of these modes 16-bit grey has depends on its format, its byte order and Pillow's version; its own `convert` clips at
    # 255, which turns most of a 16-bit image white.
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    known = values.dtype.kind != "f" and values.min() >= 0 and values.max() <= _SIXTEEN_BITS[1]
    return Image.fromarray(window.eight_bits(values, name, _SIXTEEN_BITS if known else None))


def _to_srgb(image: Image.Image, colours: Conversion) -> Image.Image:
    """RGB, or grey that no profile changes."""
    if image.has_transparency_data:
        # Converted before they are mixed with white: a profile says what a value means, not what a mixture of two does.
        rgba = image.convert("RGBA")
        if colours.transform:
            alpha, rgba = rgba.getchannel("A"), colours.apply(rgba)
            rgba.putalpha(alpha)
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), rgba).convert("RGB")
    if colours.transform:
        return colours.apply(image)
    return image if image.mode in ("RGB", "L") else image.convert("RGB")
