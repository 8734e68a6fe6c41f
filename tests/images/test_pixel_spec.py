"""Which values become black and white."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udta.errors import ConfigError, ImageError
from udta.images import Window


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("auto", "auto"),
        (" minmax ", "minmax"),
        ("-160:240", "-160:240"),
        ("0.0:1.50", "0:1.5"),
        ("1e3:2e3", "1000:2000"),
    ],
)
def test_a_window_has_one_spelling(text, canonical):
    window = Window.parse(text)
    assert str(window) == canonical
    assert Window.parse(canonical) == window


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_every_window_reads_back(low, width):
    window = Window("", (low, low + width))
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize("text", ["", "dicom", "5", "5:", "5:5", "7:5", "a:b", "nan:1", "0:inf", "1:2:3"])
def test_what_is_no_window_is_told(text):
    with pytest.raises(ConfigError, match="give auto, minmax, or the values of black and white as LOW:HIGH"):
        Window.parse(text)


def test_all_16_bits_are_rounded_to_the_nearest_of_8():
    values = np.arange(65536, dtype=np.uint16)
    expected = (values.astype(np.int64) + 128) // 257  # 65535 = 255 x 257: no value lies in the middle
    np.testing.assert_array_equal(Window().eight_bits(values, "a", (0, 65535)), expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
def test_values_are_mapped_linearly_and_cut_off(dtype):
    values = np.array([0, 100, 150, 200, 300], dtype)
    np.testing.assert_array_equal(Window.parse("100:200").eight_bits(values, "a"), [0, 0, 128, 255, 255])
    np.testing.assert_array_equal(Window("minmax").eight_bits(values, "a"), [0, 85, 128, 170, 255])


def test_what_is_no_number_is_black_and_no_extreme():
    values = np.array([np.nan, -np.inf, 0, 1, np.inf], np.float32)
    np.testing.assert_array_equal(Window("minmax").eight_bits(values, "a"), [0, 0, 0, 255, 255])
    assert (Window("minmax").eight_bits(np.full(3, np.nan), "a") == 0).all()


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "floating point"), (np.int32, "32-bit")])
def test_values_of_unknown_scale_need_a_window(dtype, kind):
    with pytest.raises(ImageError, match=f"scan: has {kind} pixels, whose scale is not known; .* --window LOW:HIGH"):
        Window().eight_bits(np.zeros(3, dtype), "scan")
