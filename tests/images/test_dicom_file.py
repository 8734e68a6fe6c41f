"""DICOM against pydicom's own functions, on files of its own and on small ones that are made here."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import dicom, items
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.pixels.utils import pixel_array

from udta.errors import ImageError
from udta.images import PixelSpec, Window, _formats, decode_image, read_images

GREY = PixelSpec(1)
CT = np.arange(-1024, 3072, 16, dtype=np.int16).reshape(16, 16)


def grey(content, window="auto"):
    return decode_image(content, "a", PixelSpec(1, Window.parse(window)))[..., 0].astype(int)


def shipped(name):
    return Path(get_testdata_file(name, download=False))


@pytest.mark.parametrize(
    "name",
    ["MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "liver_1frame.dcm"],
)
def test_a_files_own_window_is_applied_as_pydicom_does(name):
    data = pydicom.dcmread(shipped(name))
    windowed = apply_windowing(apply_modality_lut(pixel_array(data, index=0), data), data)
    signed, bits = data.PixelRepresentation, data.BitsStored
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low, high = low * slope + intercept, high * slope + intercept
    expected = (
        (windowed - low) / (high - low) * 255
        if "WindowWidth" in data
        else (windowed - windowed.min()) / np.ptp(windowed) * 255
    )
    assert np.abs(grey(shipped(name)) - expected).max() <= 0.51


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle.dcm", "examples_ybr_color.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "examples_rgb_color.dcm"]
)
def test_colours_are_those_of_pydicom(name):
    expected = pixel_array(shipped(name), index=0)
    np.testing.assert_array_equal(decode_image(shipped(name), "a"), expected)


def test_a_palette_is_resolved():
    data = pydicom.dcmread(shipped("examples_palette.dcm"))
    expected = apply_color_lut(pixel_array(data, index=0), data) / 257
    assert np.abs(decode_image(shipped("examples_palette.dcm"), "a") - expected).max() <= 0.5


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_functions_of_a_window(function):
    content = dicom(CT, WindowCenter="40", WindowWidth="400", VOILUTFunction=function)
    data = pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))
    expected = (apply_windowing(CT, data) + 2**15) / (2**16 - 1) * 255
    assert np.abs(grey(content) - expected).max() <= 0.51


def test_hounsfield_units_are_windowed_as_stated():
    stored = (CT + 1024).astype(np.uint16)
    content = dicom(stored, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="500", WindowWidth="10")
    expected = np.rint(np.clip((CT.astype(float) + 160) / 400 * 255, 0, 255))
    np.testing.assert_array_equal(grey(content, "-160:240"), expected)
    assert decode_image(content, "a").shape == (16, 16, 3)


def test_the_first_of_several_windows_is_taken():
    one = dicom(CT, WindowCenter="40", WindowWidth="400")
    several = dicom(CT, WindowCenter=["40", "-600"], WindowWidth=["400", "1500"])
    np.testing.assert_array_equal(grey(several), grey(one))


def test_a_window_of_one_value_is_a_threshold():
    assert set(np.unique(grey(dicom(CT, WindowCenter="40", WindowWidth="1")))) == {0, 255}


def test_without_a_window_it_is_smallest_to_largest_inside_of_the_padding():
    expected = np.rint((CT + 1024.0) / np.ptp(CT) * 255)
    np.testing.assert_array_equal(grey(dicom(CT)), expected)
    padded = CT.copy()
    padded[0] = -3000
    found = grey(dicom(padded, PixelPaddingValue=-3000))
    assert (found[0] == 0).all()
    np.testing.assert_array_equal(found[1:], np.rint((CT[1:] - float(CT[1:].min())) / np.ptp(CT[1:]) * 255))
    assert (grey(dicom(np.full((2, 2), 7, np.uint16))) == 0).all()


def test_eight_bits_without_a_window_are_as_they_are():
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    np.testing.assert_array_equal(grey(dicom(values)), values)


def test_monochrome1_is_turned_over():
    np.testing.assert_array_equal(grey(dicom(CT, "MONOCHROME1")), 255 - grey(dicom(CT)))


def test_a_voi_table_of_many_entries_of_eight_bits():
    """Of these pydicom's own function takes every 256th."""
    table = (np.arange(4096) // 16).astype(np.uint16)
    values = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    lut = items({"LUTDescriptor": [4096, 0, 8], "LUTData": table.tobytes()})
    np.testing.assert_array_equal(grey(dicom(values, BitsStored=12, VOILUTSequence=lut)), table[values])


def test_a_voi_table_is_applied_as_pydicom_does():
    values = np.arange(0, 256, dtype=np.uint16).reshape(16, 16)
    lut = items({"LUTDescriptor": [128, 64, 12], "LUTData": (np.arange(128, dtype=np.uint16) * 32 + 31).tobytes()})
    content = dicom(values, VOILUTSequence=lut)
    data = pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))
    assert np.abs(grey(content) - apply_voi_lut(values, data) / 4095 * 255).max() <= 0.5


def test_the_first_frame_with_its_own_rescaling_and_window():
    shared = items({"PixelValueTransformationSequence": items({"RescaleSlope": "2", "RescaleIntercept": "-10"})})
    each = items(
        {"FrameVOILUTSequence": items({"WindowCenter": "40", "WindowWidth": "400"})},
        {"FrameVOILUTSequence": items({"WindowCenter": "0", "WindowWidth": "4"})},
    )
    groups = {"SharedFunctionalGroupsSequence": shared, "PerFrameFunctionalGroupsSequence": each}
    content = dicom(np.stack([CT // 4, CT * 0]), frames=2, **groups)
    plain = dicom(CT // 4, RescaleSlope="2", RescaleIntercept="-10", WindowCenter="40", WindowWidth="400")
    np.testing.assert_array_equal(grey(content), grey(plain))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtplan.dcm", "is a DICOM without pixels"),
        ("MR_truncated.dcm", "is a damaged or unusual DICOM"),
        ("image_dfl.dcm", "is a deflated DICOM"),
        ("JPEGLSNearLossless_08.dcm", "is a DICOM that needs a plug-in|is a damaged"),
    ],
)
def test_what_cannot_be_shown_says_why(name, reason):
    if name.startswith("JPEGLS") and pydicom.pixels.get_decoder("1.2.840.10008.1.2.4.81").is_available:
        pytest.skip("there is a plug-in that decompresses it")
    with pytest.raises(ImageError, match=f"^scan: {reason}"):
        decode_image(shipped(name), "scan")


def test_absurd_sizes_are_refused_before_memory_is_spent():
    with pytest.raises(ImageError, match="over the limit of 178 megapixels"):
        decode_image(dicom(CT, Rows=60_000, Columns=60_000), "a")
    with pytest.raises(ImageError, match="over the limit of 534 megabytes"):
        decode_image(dicom(CT, Rows=12_000, Columns=12_000, BitsAllocated=32), "a")


def test_a_frame_may_not_be_larger_than_the_file_says(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # the limit is not Pillow's
    content = shipped("SC_rgb_jpeg_lossy_gdcm.dcm").read_bytes()
    at = content.index(b"\xff\xc0") + 5  # height and width in the start of frame (ITU-T T.81, B.2.2)
    assert content[at : at + 4] == bytes([0, 100, 0, 100])
    with pytest.raises(ImageError, match="60000x60000 pixels, over the limit of 178 megapixels"):
        decode_image(content[:at] + 2 * (60_000).to_bytes(2, "big") + content[at + 4 :], "a")


def test_five_channels_are_not_to_be_had():
    with pytest.raises(ImageError, match="has 1 channel, but the backbone takes 5"):
        decode_image(dicom(CT), "a", PixelSpec(5))


def test_without_pydicom_it_is_an_image_that_needs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    monkeypatch.setattr(_formats, "_reads", lambda extra: False)
    with pytest.raises(ImageError, match=r"is DICOM, which needs pip install 'udta\[medical\]'"):
        decode_image(dicom(CT), "a")


def test_scans_are_found_by_name_and_by_content(tmp_path, monkeypatch):
    for name in ("a.DCM", "b", "DICOMDIR"):
        (tmp_path / name).write_bytes(dicom(CT))
    (tmp_path / "c").write_bytes(shipped("CT_small.dcm").read_bytes())  # its preamble is the head of a TIFF
    found = read_images(tmp_path)
    assert (found.ids, decode_image(found.sample(2).read(), "c", GREY).shape) == (("a.DCM", "b", "c"), (128, 128, 1))
    monkeypatch.setattr(_formats, "_reads", lambda extra: False)
    (tmp_path / "d.png").write_bytes(b"")
    assert read_images(tmp_path).left_out[".dcm (DICOM, which needs pip install 'udta[medical]')"] == 1


SOURCES = [dicom(CT, WindowCenter="40", WindowWidth="400"), shipped("SC_rgb_rle.dcm").read_bytes()]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SOURCES), st.data())
def test_a_damaged_file_is_pixels_or_an_image_error(content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = decode_image(bytes(damaged[: data.draw(st.integers(132, len(content)))]), "a")
    except ImageError:
        return
    assert (result.dtype, result.ndim) == (np.uint8, 3)
