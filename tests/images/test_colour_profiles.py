"""Pixels with a colour profile become sRGB, and those that are sRGB already keep their bits."""

import io

import numpy as np
import pytest
from colour_profiles import ADOBE_RGB, DISPLAY_P3, SRGB, cmyk_profile, grey_profile, rgb_profile, to_srgb
from PIL import Image, ImageCms

from udta.images import EncodedImage, decode_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
ADOBE = rgb_profile(ADOBE_RGB, 563 / 256)  # 2.19921875, as Adobe defines it
P3 = rgb_profile(DISPLAY_P3, 2.2)


def encode(image, fmt="PNG", **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


@pytest.mark.parametrize(("profile", "matrix", "gamma"), [(ADOBE, ADOBE_RGB, 563 / 256), (P3, DISPLAY_P3, 563 / 256)])
@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP"])
def test_wide_gamut_profiles_are_converted_to_srgb(profile, matrix, gamma, fmt):
    options = {"lossless": True} if fmt == "WEBP" else {}
    found = decode_image(encode(Image.fromarray(RGB), fmt, icc_profile=profile, **options), "a")
    expected = to_srgb(RGB, matrix, gamma)
    assert np.abs(expected - RGB).max() > 20
    assert np.abs(found - expected).max() < 2


def test_a_jpeg_is_converted_in_every_size():
    picture = Image.new("RGB", (320, 320), (60, 200, 90))
    image = EncodedImage(encode(picture, "JPEG", icc_profile=ADOBE, quality=95), "a")
    assert not image.is_plain_jpeg  # nvJPEG knows nothing of profiles
    expected = to_srgb([60, 200, 90], ADOBE_RGB, 563 / 256)
    for side in (None, 80, 20):
        assert np.abs(image.pixels(side) - expected).max() < 3
    assert image.pixels(20).shape == (40, 40, 3)


@pytest.mark.parametrize(
    "profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), None, b"no profile"]
)
def test_what_is_no_other_colour_space_keeps_its_bits(profile):
    options = {"icc_profile": profile} if profile else {}
    image = EncodedImage(encode(Image.fromarray(RGB), **options), "a")
    np.testing.assert_array_equal(image.pixels(), RGB)
    assert image.colour_problem == ("a broken colour profile was ignored" if profile == b"no profile" else "")


def test_a_jpeg_in_srgb_is_plain():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert EncodedImage(encode(Image.fromarray(RGB), "JPEG", icc_profile=srgb), "a").is_plain_jpeg


def test_grey_and_16_bits_of_grey():
    values = np.arange(256, dtype=np.uint8)[None]
    expected = to_srgb(np.repeat(values[..., None], 3, 2), SRGB, 1.0)
    for image in (Image.fromarray(values), Image.fromarray(values.astype(np.uint16) * 257)):
        found = decode_image(encode(image, icc_profile=grey_profile(1.0)), "a")
        assert np.abs(found - expected).max() < 2
    plain = EncodedImage(encode(Image.fromarray(values), icc_profile=grey_profile(1.0)[:150]), "a")
    np.testing.assert_array_equal(plain.pixels()[..., 0], values)
    assert plain.colour_problem


def test_grey_with_a_profile_of_colours_is_converted_as_colours():
    values = np.arange(256, dtype=np.uint8)[None]
    linear = encode(Image.fromarray(values), icc_profile=rgb_profile(SRGB, 1.0))
    assert np.abs(decode_image(linear, "a") - to_srgb(np.repeat(values[..., None], 3, 2), SRGB, 1.0)).max() < 2
    colours = EncodedImage(encode(Image.fromarray(RGB), icc_profile=grey_profile(1.0)), "a")
    assert "for GRAY in an image of another kind was ignored" in colours.colour_problem
    np.testing.assert_array_equal(colours.pixels(), RGB)


def test_transparency_and_palettes():
    rgba = np.dstack([RGB, np.full((6, 9), 128, np.uint8)])
    found = decode_image(encode(Image.fromarray(rgba), icc_profile=ADOBE), "a")
    expected = to_srgb(RGB, ADOBE_RGB, 563 / 256) * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found - expected).max() < 2
    palette = Image.fromarray(RGB).quantize(16)
    found = decode_image(encode(palette, icc_profile=ADOBE), "a")
    assert np.abs(found - to_srgb(np.array(palette.convert("RGB")), ADOBE_RGB, 563 / 256)).max() < 2


def test_cmyk_goes_through_its_profile_where_it_has_one():
    cyan = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    profile = cmyk_profile((153, 98, 98))  # L* 60, a* -30, b* -30: a printed cyan
    for fmt in ("TIFF", "JPEG"):
        options = {"quality": 100} if fmt == "JPEG" else {}
        found = decode_image(encode(cyan, fmt, icc_profile=profile, **options), "a")
        np.testing.assert_allclose(found[0, 0], [0, 161, 199], atol=6)
        np.testing.assert_allclose(decode_image(encode(cyan, fmt, **options), "a")[0, 0], [0, 255, 255], atol=2)
    white = Image.new("CMYK", (1, 1), (0, 0, 0, 0))
    np.testing.assert_allclose(decode_image(encode(white, "TIFF", icc_profile=profile), "a")[0, 0], 255, atol=2)
