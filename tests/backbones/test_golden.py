"""The features of the shipped backbone are tied to `FEATURE_VERSION`: whoever changes a value has to raise it."""

import json

import golden
import numpy as np

from udta.fingerprint import FEATURE_VERSION


def test_features_of_this_version_are_those_that_were_written_down(tmp_path):
    """Up to float32 on other processors; another interpolation, scale or normalisation differs by 1e-2 and more."""
    expected = json.loads(golden.FILE.read_text())
    assert expected.pop("feature_version") == FEATURE_VERSION, "new features: run tests/backbones/golden.py"
    found = golden.features(tmp_path)
    assert found.keys() == expected.keys()
    for tap, values in found.items():
        stored = np.array(expected[tap])
        scale = np.sqrt(np.square(stored).mean())
        assert scale > 0.01
        np.testing.assert_allclose(
            values,
            stored,
            atol=1e-4 * scale,
            rtol=0,
            err_msg=f"{tap}: features changed, so FEATURE_VERSION has to rise",
        )
