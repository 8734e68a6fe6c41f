"""Files to pixels: what any image file becomes before a transform sees it.

Pillow decides per file what a decoded image is (palette indices, CMYK, 16 bits, rotated, half transparent); a backbone wants
eight-bit RGB, upright. All of that is settled here, once, and everything that Pillow raises on a damaged file becomes an
`ImageError`.
"""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from udta.errors import ImageError
from udta.images._colour_profiles import Conversion, conversion
from udta.images._formats import FORMATS, extra_format
from udta.images._png_text import without_text
from udta.images._sample import read_image_file

# 178 megapixels are 0.5 GB as RGB; Pillow's own limit of twice 89.48 MP can be switched off by anyone in the process.
MAX_PIXELS = 178_000_000

# Decoding holds up to four copies of the pixels, so images over this size (0.1 GB as RGB) are decoded one at a time: what is
# in memory does not grow with the number of threads.
_LARGE_PIXELS = 32_000_000
_LARGE_LOCK = threading.Lock()

# The marker EOI of JPEG (ITU-T T.81, B.1.1.3).
_END_OF_IMAGE = b"\xff\xd9"

# The filters of warnings are one list for the process: two threads that look and insert at once would put the filter in twice.
_QUIET_LOCK = threading.Lock()
_PILLOW = r"PIL\."
_WHITE = (255, 255, 255, 255)

# A JPEG decodes to 1/2, 1/4 or 1/8 of its size for a fraction of the work (libjpeg leaves coefficients out). That is done where
# what comes out is still this many times as large as a transform wants it, as Pillow's own thumbnails do.
_REDUCING_GAP = 2


def decode_image(source: Path | bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of an image file in full size, uint8, upright and in sRGB whatever the file holds.

    Args:
        source: the file, or its content.
        name: what errors call the image, its id.

    Raises:
        ImageError: it cannot be read, is empty, no image, damaged, or over `MAX_PIXELS`.
    """
    content = source if isinstance(source, bytes) else read_image_file(source, name)
    return EncodedImage(content, name).pixels()


class EncodedImage:
    """An image file whose header was read; every size that is asked for is decoded once. For one thread at a time.

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
        _silence_pillow()
        self._content, self._name = content, name
        self._profile: bytes | None = None
        # Decoding goes on from the header that was read: reading it again is a third of what a thumbnail costs in Python.
        self._opened: Image.Image | None = self._open()
        # MPO is what cameras with two lenses and some phones write: a JPEG with more of them behind it.
        self._size, self._is_jpeg = self._opened.size, self._opened.format in ("JPEG", "MPO")
        self._colours = conversion(self._opened.info.get("icc_profile") or self._profile, self._opened.mode)
        width, height = self._size
        # By the header alone, before a pixel is decoded: of one colour, 178 megapixels are a PNG of half a megabyte.
        if width * height > MAX_PIXELS:
            raise ImageError(name, f"has {width}x{height} pixels, over the limit of {MAX_PIXELS // 10**6} megapixels")
        self._decoded: dict[int, Image.Image] = {}

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
            end and width * height <= _LARGE_PIXELS and image.info.get("adobe_transform", 1) == 1 and _is_upright(image)
        )

    @property
    def colour_problem(self) -> str:
        """Why its colour profile is not used, and its values are taken as sRGB; empty where nothing is wrong."""
        return self._colours.problem

    def picture(self, side: int | None = None) -> Image.Image:
        """RGB in sRGB, to be read and never changed.

        Colours with another profile are converted; EXIF orientation is applied; CMYK, palettes and greyscale become RGB; 16 bits
        are scaled to 8 (`round(value / 257)`); transparency is composited on white; of an animation or a multi-page file the
        first frame is taken.

        Args:
            side: what the shorter side will be resized to; a JPEG that is much larger is decoded at 1/2, 1/4 or 1/8.

        Raises:
            ImageError: unreadable, truncated, or of a pixel type without a known scale.
        """
        reduction = self._reduction(side)
        if reduction not in self._decoded:
            self._decoded[reduction] = self._decode(reduction)
        return self._decoded[reduction]

    def pixels(self, side: int | None = None) -> UInt8[np.ndarray, "height width 3"]:
        """The values of `picture`, uint8, in an array of their own."""
        return np.array(self.picture(side))  # `asarray` would be a view of memory that Pillow owns, and read-only

    def _reduction(self, side: int | None) -> int:
        # Of other formats every pixel has to be decoded whatever size is wanted.
        if side is None or not self._is_jpeg:
            return 1
        return next((r for r in (8, 4, 2) if min(self._size) >= r * _REDUCING_GAP * side), 1)

    def _decode(self, reduction: int) -> Image.Image:
        try:
            return self._load(reduction)
        except ImageError:
            raise
        except Exception as error:  # OSError, SyntaxError, struct.error, IndexError: it depends on the damage
            if not self._lighten():  # long text may follow the pixels
                raise ImageError(self._name, f"is damaged or truncated ({error or type(error).__name__})") from error
        return self._decode(reduction)

    def _load(self, reduction: int) -> Image.Image:
        # `load` uses an opened image up: the first decoding takes the header that was read, each further one opens its own.
        width, height = self._size
        large = width * height > _LARGE_PIXELS * reduction**2
        opened, self._opened = self._opened or self._open(), None
        with _LARGE_LOCK if large else nullcontext(), opened as image:
            if reduction > 1:
                # Pillow picks the largest of 8, 4, 2 and 1 that leaves at least this size: of one rounded down, `reduction`.
                image.draft(None, (width // reduction, height // reduction))
            image.load()
            return _to_rgb(_upright(image), self._name, self._colours)

    def _open(self) -> Image.Image:
        """Reads the header only."""
        try:
            return Image.open(io.BytesIO(self._content), formats=FORMATS)
        except UnidentifiedImageError as error:
            # Only now, since asking may import a plug-in.
            if extra := extra_format(self._content, self._name):
                return Image.open(io.BytesIO(self._content), formats=(extra,))
            reason = "is not an image (its content is none of " + ", ".join(FORMATS) + ")"
            raise ImageError(self._name, reason) from error
        except Image.DecompressionBombError as error:
            raise ImageError(self._name, f"is over the limit of {MAX_PIXELS // 10**6} megapixels") from error
        except Exception as error:
            if not self._lighten():
                raise ImageError(self._name, f"has a damaged header ({error or type(error).__name__})") from error
        return self._open()

    def _lighten(self) -> bool:
        """Take the text out of a PNG, and say whether there was any."""
        lighter = without_text(self._content)
        if lighter is None:
            return False
        self._content, self._profile = lighter[0], lighter[1] or self._profile
        return True


def _upright(image: Image.Image) -> Image.Image:
    try:  # `exif_transpose` copies what is upright already
        return image if _is_upright(image) else ImageOps.exif_transpose(image)
    except Exception:  # broken metadata say nothing about the pixels, which have been decoded already
        return image


def _is_upright(image: Image.Image) -> bool:
    # 1 is "the first row is at the top, the first column at the left" (EXIF 2.3, tag 0x0112); absent means the same.
    return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)


def _to_rgb(image: Image.Image, name: str, colours: Conversion) -> Image.Image:
    # Which of these modes 16-bit grey has depends on its format, its byte order and Pillow's version.
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_16_bits(image, name)
    if image.mode == "F":
        raise ImageError(name, "has floating point pixels, whose scale is not known; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        # Converted before they are mixed with white: a profile says what a value means, not what a mixture of two does.
        rgba = image.convert("RGBA")
        if colours.transform:
            alpha, rgba = rgba.getchannel("A"), colours.apply(rgba)
            rgba.putalpha(alpha)
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), rgba).convert("RGB")
    if colours.transform:
        return colours.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image, name: str) -> Image.Image:
    """Eight bits of grey; Pillow's own `convert` clips at 255, which turns most of a 16-bit image white."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(name, "has 32-bit pixels, whose scale is not known; convert it to 8 or 16 bits")
    # 65535 = 255 x 257, and adding 128 first rounds to the nearest.
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _silence_pillow() -> None:
    """Put a filter for Pillow's own warnings first, if it is not there.

    They tell of odd metadata, and of size, which is checked above. `warnings.catch_warnings` would be the tidier way, but it
    swaps the filters of the whole process: two threads that leave it in the wrong order leave everything ignored for good.
    """
    with _QUIET_LOCK:
        first = warnings.filters[0] if warnings.filters else None
        if first is None or first[0] != "ignore" or getattr(first[3], "pattern", None) != _PILLOW:
            warnings.filterwarnings("ignore", module=_PILLOW)
