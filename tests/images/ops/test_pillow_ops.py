"""The operations: torchvision's where it has them, and of the random ones what their docstrings promise."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms as tv

from udta.errors import ImageError
from udta.images import Transform
from udta.images.ops.op import Span
from udta.images.ops.pillow_ops import FILTERS, OPS, RandomResizedCrop


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def applied(transform, image, source):
    return (Transform.parse(transform) if isinstance(transform, str) else transform).apply(
        Image.fromarray(image), source
    )


def rng(seed=0):
    return np.random.Generator(np.random.Philox(seed))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("resize(256)", None),
        ("resize(256)|centre_crop(224)", (224, 224)),
        ("resize(20,30)|flip", (20, 30)),
        ("resize(20,30)|resize(10)", (10, 15)),
        ("random_resized_crop(64)|jitter(0.1)|rotate(5)|grey", (64, 64)),
        ("random_crop(32,pad=4)", (32, 32)),
        ("flip", None),
    ],
)
def test_size_is_that_of_the_output(text, size):
    transform = Transform.parse(text)
    assert transform.size == size
    if size:
        for shape in [(5, 7), (50, 31), (40, 300)]:
            assert applied(transform, picture(*shape), rng()).shape == (*size, 3)


def test_is_random():
    assert {name for name, op in OPS.items() if op.is_random} == {
        "random_resized_crop", "random_crop", "flip", "jitter", "rotate"
    }  # fmt: skip
    assert not Transform.parse("resize(8)|grey").is_random
    assert Transform.parse("resize(8)|flip").is_random


@pytest.mark.parametrize(
    "shape", [(300, 400), (400, 301), (256, 256), (100, 333), (513, 257), (37, 29), (1, 1), (224, 900), (7, 100)]
)
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (64, 64), (32, 51), (None, 224), (None, 33)])
def test_resize_and_centre_crop_are_those_of_torchvision(shape, resize, crop):
    image = picture(*shape)
    text = f"resize({resize})|centre_crop({crop})" if resize else f"centre_crop({crop})"
    theirs = tv.Compose([*([tv.Resize(resize)] if resize else []), tv.CenterCrop(crop)])(Image.fromarray(image))
    np.testing.assert_array_equal(applied(text, image, rng()), np.asarray(theirs))


def test_resize_to_height_and_width_is_that_of_torchvision():
    image = picture(50, 70)
    theirs = tv.Resize((33, 21))(Image.fromarray(image))
    np.testing.assert_array_equal(applied("resize(33,21)", image, rng()), np.asarray(theirs))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(40,), (33, 21)])
@pytest.mark.parametrize("shape", [(300, 401), (30, 17), (90, 90)])
def test_every_filter_is_that_of_torchvision(name, size, shape):
    image = picture(*shape)
    theirs = tv.Resize(size, tv.InterpolationMode(name))(Image.fromarray(image))
    text = f"resize({','.join(map(str, size))},filter={name})"
    np.testing.assert_array_equal(applied(text, image, rng()), np.asarray(theirs))


def test_an_elongated_image_is_refused_before_memory_is_taken():
    with pytest.raises(ImageError, match=r"too elongated: resize\(256\) makes it 25600000x256"):
        applied("resize(256)|centre_crop(224)", np.zeros((1, 100_000, 3), np.uint8), rng())


def test_random_transforms_depend_on_the_generator_alone():
    transform = Transform.parse("random_resized_crop(24,scale=0.3..1)|flip|jitter(0.4)|rotate(20)")
    image = picture(60, 40)
    first, same, other = (applied(transform, image, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_random_resized_crop_takes_its_share_of_the_area():
    op = RandomResizedCrop(8, scale=Span(0.25, 0.5))
    source = rng()
    parts = np.array([op.part(400, 300, source) for _ in range(2000)])
    left, top, width, height = parts.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 400).all()
    assert (top + height <= 300).all()
    share = width * height / (400 * 300)
    assert share.min() > 0.245
    assert share.max() < 0.505
    assert share.mean() == pytest.approx(0.375, abs=0.01)  # uniform in 0.25..0.5; its standard error is 0.0016
    assert 0.74 < (width / height).min() < 0.77
    assert 1.3 < (width / height).max() < 1.35


def test_random_resized_crop_of_a_strip_falls_back_to_its_middle():
    left, top, width, height = RandomResizedCrop(8, scale=Span(1.0, 1.0)).part(300, 30, rng())
    assert (left, top, width, height) == (130, 0, 40, 30)


def test_random_crop_reaches_every_place_and_pads_black():
    image = np.full((4, 4, 3), 255, np.uint8)
    transform, source = Transform.parse("random_crop(4,pad=1)"), rng()
    results = [applied(transform, image, source)[..., 0] for _ in range(300)]
    assert len({result.tobytes() for result in results}) == 9
    assert {int((result == 0).sum()) for result in results} == {0, 4, 7}


def test_flip_happens_every_other_time():
    image, source = picture(2, 3), rng()
    flipped = 0
    for _ in range(400):
        result = applied("flip", image, source)
        is_flipped = bool((result == image[:, ::-1]).all())
        assert is_flipped or (result == image).all()
        flipped += is_flipped
    assert 160 < flipped < 240  # 4 standard deviations


def test_grey_has_equal_channels():
    result = applied("grey", picture(5, 6), rng())
    assert (result == result[..., :1]).all()


def test_jitter_stays_within_its_strength():
    image = np.full((4, 4, 3), 100, np.uint8)  # contrast and saturation leave a grey plane as it is
    means = [applied("jitter(0.2)", image, rng(seed)).mean() for seed in range(200)]
    assert 79 <= min(means) < 84
    assert 116 < max(means) <= 120
