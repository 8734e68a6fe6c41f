"""Text of megabytes in a PNG is no damage."""

import io
import struct
import zlib

import numpy as np
import pytest
from colour_profiles import ADOBE_RGB, rgb_profile
from PIL import Image

from udta.errors import ImageError
from udta.images import decode_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encode(image, fmt, **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(png, kind, body, at):
    """Before the pixels or, for the other of the two places, behind them."""
    start = png.index(b"IDAT" if at == "before" else b"IEND") - 4
    return png[:start] + chunk(kind, body) + png[start:]


LONG = b"a caption " * 150_000  # 1.5 MB; Pillow's bound is 1


@pytest.mark.parametrize("at", ["before", "behind"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"prompt\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LONG)),
        (b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
    ],
)
def test_a_png_with_much_text_is_no_damaged_one(kind, body, at):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = with_chunk(encode(Image.fromarray(RGB), "PNG", exif=exif), kind, body, at)
    np.testing.assert_array_equal(decode_image(content, "a"), np.rot90(RGB, -1))
    with pytest.raises(ImageError, match="damaged or truncated"):
        decode_image(content[: content.index(b"IDAT") + 90] + content[-12:], "a")


def test_a_long_colour_profile_of_a_png_is_applied():
    profile = rgb_profile(ADOBE_RGB, 2.2)
    profile += LONG  # what follows its tables
    profile = struct.pack(">I", len(profile)) + profile[4:]
    plain = encode(Image.fromarray(RGB), "PNG")
    expected = decode_image(encode(Image.fromarray(RGB), "PNG", icc_profile=rgb_profile(ADOBE_RGB, 2.2)), "a")
    found = decode_image(with_chunk(plain, b"iCCP", b"profile\0\0" + zlib.compress(profile), "before"), "a")
    np.testing.assert_array_equal(found, expected)
    assert (found != RGB).any()


def test_an_endless_colour_profile_is_ignored():
    bomb = zlib.compress(bytes(2**26))
    content = with_chunk(encode(Image.fromarray(RGB), "PNG"), b"iCCP", b"profile\0\0" + bomb, "before")
    np.testing.assert_array_equal(decode_image(content, "a"), RGB)
