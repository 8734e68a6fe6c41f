"""The picture shows the figures: how much, and where, and for or against."""

import numpy as np
import pytest
from PIL import Image

from udta.explanation import Contributions, overlay
from udta.explanation._overlay import AGAINST, FOR, density


def found(**maps):
    arrays = {tap: np.array(each, np.float32) for tap, each in maps.items()}
    return Contributions(arrays, {}, 0.0, sum(float(each.sum()) for each in arrays.values()))


def test_the_mean_of_the_picture_is_the_sum_of_the_maps():
    both = found(fine=np.full((14, 14), 0.01), coarse=np.full((7, 7), 0.02))
    picture = density(both, 224, 224)
    assert picture.shape == (224, 224)
    assert picture.mean() == pytest.approx(14 * 14 * 0.01 + 7 * 7 * 0.02, rel=1e-5)


def test_for_is_vermilion_and_against_is_blue_where_they_are_in_the_photograph():
    photo = Image.new("RGB", (64, 32), (10, 200, 30))
    picture = np.asarray(overlay(photo, found(tap=[[1, 0, 0, -0.5]]))).astype(int)
    assert picture.shape == (32, 64, 3)
    grey = np.asarray(photo.convert("L").convert("RGB"))[0, 0].astype(int)
    [left, middle, right] = picture[16, 4], picture[16, 32], picture[16, 60]
    assert np.abs(left - FOR).sum() < np.abs(left - AGAINST).sum()
    assert np.abs(right - AGAINST).sum() < np.abs(right - FOR).sum()
    assert np.abs(left - grey).sum() > np.abs(middle - grey).sum()
    # One scale for several pictures: half as strong is half as opaque.
    fainter = np.asarray(overlay(photo, found(tap=[[1, 0, 0, -0.5]]), limit=8.0)).astype(int)[16, 4]
    np.testing.assert_allclose(fainter - grey, (left - grey) / 2, atol=1)


def test_a_photograph_that_says_nothing_stays_grey():
    photo = Image.new("RGB", (8, 8), (10, 200, 30))
    assert np.array_equal(np.asarray(overlay(photo, found(tap=[[0.0]]))), np.asarray(photo.convert("L").convert("RGB")))
