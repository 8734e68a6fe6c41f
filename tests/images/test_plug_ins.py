"""HEIF and JPEG XL through Pillow's plug-ins, against the plug-ins' own libraries."""

import io

import numpy as np
import pytest
from damaged_bytes import damaged
from hypothesis import given, settings
from PIL import Image

from udta.errors import ImageError
from udta.images import PixelSpec, Window, decode_image

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the plug-in of Pillow for HEIF")
pillow_jxl = pytest.importorskip("pillow_jxl", reason="needs the plug-in of Pillow for JPEG XL")
pillow_heif.register_heif_opener()
RGB = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize(
        (90, 60), Image.Resampling.BICUBIC
    )
)


def encode(array, fmt, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, fmt, **options)
    return file.getvalue()


def test_heif_is_that_of_pillow_heif():
    content = encode(RGB, "HEIF", quality=90)
    expected = np.asarray(pillow_heif.open_heif(io.BytesIO(content)))
    np.testing.assert_array_equal(decode_image(content, "a"), expected)
    assert np.abs(expected.astype(int) - RGB).mean() < 4


def test_a_phones_rotation_is_applied_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(RGB, "HEIF", quality=90, exif=exif.tobytes())
    assert np.abs(decode_image(content, "a").astype(int) - np.rot90(RGB, -1)).mean() < 4


@pytest.mark.parametrize("values", [RGB, RGB[..., 0]])
def test_lossless_jpeg_xl_comes_back_exactly(values):
    content = encode(values, "JXL", lossless=True)
    np.testing.assert_array_equal(
        decode_image(content, "a"), values if values.ndim == 3 else np.repeat(values[..., None], 3, 2)
    )
    _, _, pixels, *_ = pillow_jxl.Decoder()(content)
    np.testing.assert_array_equal(np.frombuffer(pixels, np.uint8), values.ravel())


def test_16_bits_of_jpeg_xl_are_windowed():
    values = np.arange(5400, dtype=np.uint16).reshape(60, 90)
    content = encode(values, "JXL", lossless=True)
    found = decode_image(content, "a", PixelSpec(1, Window.parse("1000:3000")))[..., 0]
    np.testing.assert_array_equal(found, np.rint(np.clip((values - 1000.0) / 2000 * 255, 0, 255)))


SOURCES = [encode(RGB, "HEIF"), encode(RGB, "JXL"), encode(RGB, "JXL", lossless=True)]


@settings(max_examples=60, deadline=None)
@given(damaged(SOURCES))
def test_a_damaged_file_is_pixels_or_an_image_error(content):
    try:
        result = decode_image(content, "a")
    except ImageError:
        return
    assert (result.dtype, result.ndim) == (np.uint8, 3)
