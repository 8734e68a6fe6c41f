"""No bit of a pixel changes unless `FEATURE_VERSION` says so."""

import golden_pixels
import numpy as np
import pytest
from PIL import features

from udta.fingerprint import FEATURE_VERSION
from udta.images import Transform
from udta.images.ops import OPS

GOLDEN = golden_pixels.load()
CHANGED = "pixels changed: raise FEATURE_VERSION, then run python tests/images/golden_pixels.py"

# Decoders of lossy formats are free to round in their last step, and do so by version and by the processor's instructions;
# LittleCMS and rotation compute in floating point. Everything else is arithmetic of whole numbers.
ROUNDED = ("jpeg", "webp_lossy", "avif", "png_adobe_rgb", "png_grey_profile", "rotate")


def check(name, found, expected):
    assert found.shape == expected.shape
    levels = np.abs(found.astype(int) - expected).max()
    assert levels <= name.startswith(ROUNDED), CHANGED


def test_the_golden_pixels_are_those_of_this_version():
    assert GOLDEN["feature_version"] == FEATURE_VERSION, "run python tests/images/golden_pixels.py"
    assert {op.name for text in GOLDEN["transformed"] for op in Transform.parse(text).ops} == set(OPS)


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_decoders(name):
    if name == "avif" and not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    for side, pixels in golden_pixels.decoded(name, GOLDEN["files"][name]).items():
        check(name, pixels, GOLDEN["decoded"][f"{name} {side}"])


@pytest.mark.parametrize("text", GOLDEN["transformed"])
def test_operations(text):
    check(text, golden_pixels.transformed(text), GOLDEN["transformed"][text])
