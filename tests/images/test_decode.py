import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from damaged_bytes import damaged
from hypothesis import given, settings
from PIL import Image, features

from udta.errors import ImageError
from udta.images import _formats, decode_image
from udta.images._quiet import silence_decoders

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encode(image, fmt, **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(fmt):
    result = decode_image(encode(Image.fromarray(RGB), fmt), "a")
    np.testing.assert_array_equal(result, RGB)
    assert result.dtype == np.uint8
    assert result.flags.writeable


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP"])
def test_lossy_formats_have_the_right_shape(fmt):
    assert decode_image(encode(Image.fromarray(RGB), fmt), "a").shape == RGB.shape


def test_a_file_and_its_content_give_the_same(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(Image.fromarray(RGB), "JPEG"))
    np.testing.assert_array_equal(decode_image(path, "a"), decode_image(path.read_bytes(), "a"))


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, undo, fmt):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(RGB), fmt, exif=exif)
    np.testing.assert_array_equal(decode_image(content, "a"), undo(RGB))


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    for fmt in ("JPEG", "TIFF"):
        red = decode_image(encode(image, fmt), "a")
        assert red.shape == (3, 4, 3)
        np.testing.assert_allclose(red[0, 0].astype(int), [255, 0, 0], atol=3)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(fmt):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    result = decode_image(encode(Image.fromarray(values), fmt), "a")
    np.testing.assert_array_equal(result[0, :, 0], [0, 0, 1, 1, 128, 255])
    assert (result == result[..., :1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_unknown_scale_are_refused(dtype):
    content = encode(Image.fromarray(np.full((2, 2), 70000, dtype)), "TIFF")
    with pytest.raises(ImageError, match="whose scale is not known; convert it"):
        decode_image(content, "a")


def test_greyscale_and_bilevel_are_replicated():
    grey = decode_image(encode(Image.fromarray(RGB[..., 0]), "PNG"), "a")
    np.testing.assert_array_equal(grey, np.repeat(RGB[..., :1], 3, axis=2))
    bits = decode_image(encode(Image.fromarray(RGB[..., 0]).convert("1"), "PNG"), "a")
    assert set(np.unique(bits)) <= {0, 255}


def test_transparency_is_composited_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 255
    rgba[0, :, 3] = [0, 128, 255]
    expected = [[255, 255, 255], [255, 127, 127], [255, 0, 0]]
    np.testing.assert_array_equal(decode_image(encode(Image.fromarray(rgba), "PNG"), "a")[0], expected)
    grey_alpha = encode(Image.fromarray(rgba).convert("LA"), "PNG")
    np.testing.assert_array_equal(decode_image(grey_alpha, "a")[0, 0], [255, 255, 255])


def palette(transparency=None):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    return encode(image, "PNG", **({} if transparency is None else {"transparency": transparency}))


def test_palettes_are_resolved():
    np.testing.assert_array_equal(decode_image(palette(), "a")[0], [[10, 20, 30], [200, 100, 50]])
    for transparency in (0, b"\x00\xff"):
        result = decode_image(palette(transparency), "a")[0]
        np.testing.assert_array_equal(result, [[255, 255, 255], [200, 100, 50]])


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    for fmt, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        content = encode(frames[0], fmt, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(decode_image(content, "a")[0, 0], [255, 0, 0])


def test_one_pixel_is_an_image():
    assert decode_image(encode(Image.new("RGB", (1, 1)), "JPEG"), "a").shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"<html>404</html>", "is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "is not an image"),
        (encode(Image.fromarray(RGB), "PNG")[:90], "is damaged or truncated"),
        (encode(Image.fromarray(RGB), "JPEG")[:-60], "is damaged or truncated"),
    ],
)
def test_what_is_no_image_is_named(content, reason):
    with pytest.raises(ImageError, match=rf"^cats/a\.jpg: {reason}") as caught:
        decode_image(content, "cats/a.jpg")
    assert caught.value.path == "cats/a.jpg"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"cannot be read \(No such file or directory\)"):
        decode_image(tmp_path / "a.jpg", "a.jpg")


def png_header(width, height):
    """A PNG that claims to be this large and has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize(("width", "height"), [(17_801, 10_000), (60_000, 60_000)])
def test_decompression_bombs_are_refused(width, height, monkeypatch):
    content = png_header(width, height) + b"\0\0\0\0IDAT\0\0\0\0"
    with pytest.raises(ImageError, match="over the limit of 178 megapixels"):
        decode_image(content, "a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # the limit is ours, not Pillow's
    with pytest.raises(ImageError, match="over the limit of 178 megapixels"):
        decode_image(content, "a")


def test_no_warning_escapes_below_the_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # Pillow warns from here, and refuses from twice this
    np.testing.assert_array_equal(decode_image(encode(Image.fromarray(RGB), "PNG"), "a"), RGB)


def test_the_filter_comes_first_again_after_others_were_added():
    for _ in range(2):
        warnings.simplefilter("error")
        silence_decoders()
        silence_decoders()
        assert warnings.filters[0][0] == "ignore"
        assert warnings.filters[1][0] == "error"


def test_threads_decode_alike():
    content = encode(Image.fromarray(RGB), "JPEG")
    expected = decode_image(content, "a")
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: decode_image(content, "a"), range(200)):
            np.testing.assert_array_equal(result, expected)


SOURCES = [encode(Image.fromarray(RGB), fmt) for fmt in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM")]


@settings(max_examples=300, deadline=None)
@given(damaged(SOURCES))
def test_a_damaged_file_is_pixels_or_an_image_error(content):
    try:
        result = decode_image(content, "a")
    except ImageError:
        return
    assert result.dtype == np.uint8
    assert result.ndim == 3


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_is_read():
    found = decode_image(encode(Image.new("RGB", (40, 30), (200, 100, 50)), "AVIF", quality=95), "a")
    np.testing.assert_allclose(found, np.broadcast_to([200, 100, 50], (30, 40, 3)), atol=4)


def test_what_needs_a_plug_in_says_so(monkeypatch):
    monkeypatch.setattr(_formats, "_reads", lambda extra: False)
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    jxl = b"\xff\x0a" + bytes(40)
    with pytest.raises(ImageError, match=r"is HEIF, which needs pip install 'udta\[formats\]'"):
        decode_image(heic, "a.jpg")
    with pytest.raises(ImageError, match=r"is JXL, which needs pip install 'udta\[formats\]'"):
        decode_image(jxl, "a.jpg")
