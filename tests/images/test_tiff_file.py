"""TIFF of any number of channels and bits, against the arrays that tifffile wrote."""

import io
import tracemalloc
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from damaged_bytes import damaged
from hypothesis import given, settings
from PIL import Image

from udta.errors import ImageError
from udta.images import PixelSpec, Window, decode_image

RNG = np.random.default_rng(0)
FIVE = RNG.integers(0, 256, (6, 9, 5), dtype=np.uint8)
DEEP = RNG.integers(0, 10_000, (6, 9, 5), dtype=np.uint16)


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", **options})
    return file.getvalue()


def decoded(content, channels, window="auto"):
    return decode_image(content, "a", PixelSpec(channels, Window.parse(window)))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (FIVE, {"planarconfig": "contig"}),
        (FIVE.transpose(2, 0, 1), {"planarconfig": "separate"}),
        (FIVE.transpose(2, 0, 1), {}),  # a page each
        (FIVE, {"photometric": "rgb"}),  # the first three are called RGB, which Pillow would take alone
        (FIVE, {"planarconfig": "contig", "compression": "zlib"}),
        (FIVE, {"planarconfig": "contig", "compression": "zlib", "predictor": True}),
        (FIVE, {"planarconfig": "contig", "bigtiff": True, "byteorder": ">"}),
        (FIVE, {"planarconfig": "contig", "tile": (16, 16)}),
    ],
)
def test_five_channels_come_back_exactly(values, options):
    np.testing.assert_array_equal(decoded(tiff(values, **options), 5), FIVE)


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_any_other_number_of_channels(channels):
    values = RNG.integers(0, 256, (6, 9, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(tiff(values, planarconfig="contig"), channels), values)


def test_deep_channels_are_windowed():
    content = tiff(DEEP, planarconfig="contig")
    np.testing.assert_array_equal(decoded(content, 5, "0:10000"), np.rint(DEEP / 10_000 * 255))
    np.testing.assert_array_equal(decoded(content, 5), (DEEP.astype(int) + 128) // 257)


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float16, np.float32, np.float64])
def test_one_channel_of_any_type_is_windowed(dtype):
    values = (DEEP[..., 0] / 10).astype(dtype)
    expected = np.rint(np.clip((values.astype(float) - 100) / 800 * 255, 0, 255))
    found = decoded(tiff(values), 1, "100:900")[..., 0]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(decoded(tiff(values), 3, "100:900"), np.repeat(found[..., None], 3, 2))
    with pytest.raises(ImageError, match="whose scale is not known"):
        decoded(tiff(-values if values.dtype.kind != "u" else values + 65535), 1)


def test_more_than_31_bits_are_no_negative_values():
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    np.testing.assert_array_equal(decoded(tiff(values), 1, f"0:{2**32 - 1}")[..., 0], [[0, 128, 255]])


def test_a_window_of_deep_rgb():
    rgb = tiff(DEEP[..., :3], photometric="rgb")
    np.testing.assert_array_equal(decoded(rgb, 3, "0:10000"), np.rint(DEEP[..., :3] / 10_000 * 255))
    np.testing.assert_array_equal(decoded(rgb, 3), DEEP[..., :3] >> 8)  # as Pillow gives them


def test_white_may_be_zero():
    values = (DEEP[..., 0] / 10).astype(np.float64)
    content = tiff(values, photometric="miniswhite")
    np.testing.assert_array_equal(decoded(content, 1, "0:1000"), 255 - decoded(tiff(values), 1, "0:1000"))


def test_it_is_turned_upright():
    content = tiff(FIVE, planarconfig="contig", extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(decoded(content, 5), np.rot90(FIVE, -1))


@pytest.mark.parametrize(
    ("values", "wanted", "has"),
    [(FIVE, 3, "5 channels"), (FIVE, 4, "5 channels"), (FIVE, 1, "5 channels"), (FIVE[..., 0], 5, "1 channel")],
)
def test_channels_that_do_not_agree_are_told(values, wanted, has):
    content = tiff(values, **({"planarconfig": "contig"} if values.ndim == 3 else {}))
    with pytest.raises(ImageError, match=f"^a: has {has}, but the backbone takes {wanted}"):
        decoded(content, wanted)


def test_of_pages_the_first_counts_where_they_are_no_channels():
    np.testing.assert_array_equal(decoded(tiff(FIVE.transpose(2, 0, 1)), 1)[..., 0], FIVE[..., 0])


def test_other_formats_have_no_five_channels():
    file = io.BytesIO()
    Image.fromarray(FIVE[..., :3]).save(file, "PNG")
    with pytest.raises(
        ImageError, match="has 3 channels, but the backbone takes 5; such images are read out of TIFF alone"
    ):
        decoded(file.getvalue(), 5)


def test_colours_become_luma_in_one_channel():
    file = io.BytesIO()
    Image.fromarray(FIVE[..., :3]).save(file, "PNG")
    luma = np.asarray(Image.fromarray(FIVE[..., :3]).convert("L"))
    np.testing.assert_array_equal(decoded(file.getvalue(), 1)[..., 0], luma)
    rgb = tiff(FIVE[..., :3].astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(decoded(rgb, 1, "0:65535")[..., 0], luma)


def test_a_window_of_a_deep_png_in_colour_is_refused():
    header = b"IHDR" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    chunks = [header, b"IDAT" + zlib.compress(bytes(13)), b"IEND"]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    )
    assert decoded(png, 3).shape == (1, 2, 3)
    with pytest.raises(ImageError, match="several channels of 16 bits, which a window is for in TIFF alone"):
        decoded(png, 3, "0:1000")


def test_a_companion_file_is_never_opened(tmp_path, monkeypatch):
    """An OME-TIFF names others by their path; only pages of this one are read."""
    monkeypatch.setattr(tifffile.TiffFile, "series", property(lambda self: pytest.fail("series were read")))
    content = tiff(FIVE.transpose(2, 0, 1), ome=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(decoded(content, 5), FIVE)


def bomb(claimed, real):
    """A TIFF of `claimed` pixels whose one strip unpacks to `real` bytes."""
    content = bytearray(
        tiff(np.zeros((*claimed, 5), np.uint8), planarconfig="contig", compression="zlib", rowsperstrip=claimed[0])
    )
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        offset, count = page.tags["StripOffsets"], page.tags["StripByteCounts"]
    packed = zlib.compress(bytes(real))
    for tag, value in ((offset, len(content)), (count, len(packed))):
        at = tag.offset + 8
        content[at : at + 4] = value.to_bytes(4, "little")
    return bytes(content) + packed


def test_what_unpacks_to_more_than_it_should_is_refused_before_it_does():
    assert decoded(bomb((4, 4), 80), 5).shape == (4, 4, 5)
    content = bomb((4, 4), 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="unpacks to more or less than it should"):
            decoded(content, 5)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_absurd_sizes_are_refused_before_memory_is_spent():
    content = bytearray(tiff(FIVE, planarconfig="contig"))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = [file.pages[0].tags[name] for name in ("ImageWidth", "ImageLength")]
    for side in (60_000, 12_000):
        for tag in tags:
            content[tag.offset + 2 : tag.offset + 12] = (
                (3).to_bytes(2, "little") + (1).to_bytes(4, "little") + side.to_bytes(4, "little")
            )
        with pytest.raises(ImageError, match=r"over the limit of (178 megapixels|534 megabytes)"):
            decoded(bytes(content), 5)


def test_without_tifffile_it_says_what_is_needed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(
        ImageError, match=r"more channels or bits than Pillow reads: TIFF, which needs pip install 'udta\[medical\]'"
    ):
        decoded(tiff(FIVE, planarconfig="contig"), 5)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="it unpacks LZW")
def test_what_tifffile_cannot_unpack_by_itself_says_what_does():
    content = bytearray(tiff(FIVE, planarconfig="contig"))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        at = file.pages[0].tags["Compression"].offset + 8
    content[at : at + 2] = (5).to_bytes(2, "little")  # LZW
    with pytest.raises(ImageError, match=r"needs pip install imagecodecs .*LZW"):
        decoded(bytes(content), 5)
    content[at : at + 2] = (50000).to_bytes(2, "little")
    with pytest.raises(ImageError, match=r"whose compression is not read \(.*50000.*\), convert it"):
        decoded(bytes(content), 5)


SOURCES = [
    tiff(FIVE, planarconfig="contig"),
    tiff(FIVE, planarconfig="contig", compression="zlib"),
    tiff(DEEP.transpose(2, 0, 1)),
]


@settings(max_examples=100, deadline=None)
@given(damaged(SOURCES))
def test_a_damaged_file_is_pixels_or_an_image_error(content):
    try:
        result = decoded(content, 5, "0:10000")
    except ImageError:
        return
    assert (result.dtype, result.ndim, result.shape[2]) == (np.uint8, 3, 5)
