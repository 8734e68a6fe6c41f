"""The size of a JPEG XL before it is decoded, against what the plug-in of Pillow says when it has decoded it."""

import io

import pytest
from PIL import Image

from udta.errors import ImageError
from udta.images import decode_image
from udta.images._jxl_size import jxl_size

pytest.importorskip("pillow_jxl", reason="needs the plug-in of Pillow for JPEG XL")


def encoded(size):
    file = io.BytesIO()
    Image.new("L", size).save(file, "JXL", effort=1)
    return file.getvalue()


# In eights or not, by a ratio or not, and each of the four lengths but the last, which is for 262,144 pixels and more.
@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (8, 8),
        (256, 256),
        (257, 300),
        (640, 480),
        (96, 80),
        (90, 60),
        (1920, 1080),
        (200, 100),
        (9000, 3),
        (1, 700),
    ],
)
@pytest.mark.parametrize("boxed", [False, True])
def test_it_is_that_of_the_decoded_image(size, boxed):
    content = bare = encoded(size)
    if boxed:
        signature = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
        content = signature + (len(bare) + 8).to_bytes(4, "big") + b"jxlc" + bare
    assert jxl_size(content) == size
    assert decode_image(content, "a").shape == (size[1], size[0], 3)


def bomb(side):
    """The header of a square image: not in eights, 30 bits for the height, the ratio 1:1."""
    bits = 0b11 << 1 | (side - 1) << 3 | 1 << 33
    return b"\xff\x0a" + bits.to_bytes(16, "little")


def test_absurd_sizes_are_refused_before_a_pixel_is_decoded():
    assert jxl_size(bomb(60_000)) == (60_000, 60_000)
    with pytest.raises(ImageError, match="over the limit of 178 megapixels"):
        decode_image(bomb(60_000), "a.jxl")


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0xxxx", b"\xff\xd8\xff"]
)
def test_without_a_codestream_there_is_none(content):
    assert jxl_size(content) is None
