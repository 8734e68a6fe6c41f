import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from udta.errors import ConfigError
from udta.images import EncodedImage, PixelSpec, Transform, ViewSpec

EVALUATE = Transform.parse("resize(20)|centre_crop(16)")
AUGMENT = Transform.parse("random_resized_crop(16,scale=0.3..1)|flip|jitter(0.3)")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def encoded(pixels, fmt="PNG"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, fmt)
    return EncodedImage(content.getvalue(), "a")


IMAGE = encoded(PIXELS)
SHA = hashlib.sha256(b"an image").hexdigest()


def test_view_0_is_the_evaluation_transform():
    spec = ViewSpec(3, 0, EVALUATE, AUGMENT)
    expected = EVALUATE.apply(Image.fromarray(PIXELS), np.random.default_rng(9))
    np.testing.assert_array_equal(spec.view(IMAGE, SHA, 0), expected)
    assert spec.size == (16, 16)


def test_a_view_depends_on_seed_content_and_number_alone():
    spec = ViewSpec(4, 0, EVALUATE, AUGMENT)
    backwards = {v: spec.view(IMAGE, SHA, v) for v in (3, 2, 1)}
    for v in (1, 2, 3):
        np.testing.assert_array_equal(ViewSpec(9, 0, EVALUATE, AUGMENT).view(IMAGE, SHA, v), backwards[v])
    others = [
        backwards[2],
        ViewSpec(4, 1, EVALUATE, AUGMENT).view(IMAGE, SHA, 1),
        spec.view(IMAGE, hashlib.sha256(b"another").hexdigest(), 1),
    ]
    assert all((other != backwards[1]).any() for other in others)


def test_the_generator_is_philox_keyed_by_the_hash():
    """The rule as it is documented, spelled out a second time with Philox's own state."""
    key = hashlib.sha256(f"7:{SHA}:2".encode()).digest()
    source = np.random.Philox(0)
    state = source.state
    state["state"]["key"] = np.frombuffer(key[:16], dtype="<u8").astype(np.uint64)
    source.state = state
    expected = AUGMENT.apply(Image.fromarray(PIXELS), np.random.Generator(source))
    np.testing.assert_array_equal(ViewSpec(3, 7, EVALUATE, AUGMENT).view(IMAGE, SHA, 2), expected)


def test_json_holds_what_decides_the_augmented_views():
    document = ViewSpec(5, 3, EVALUATE, AUGMENT).to_json()
    assert document == {"count": 5, "seed": 3, "augment": "random_resized_crop(16,scale=0.3..1)|flip|jitter(0.3)"}


@pytest.mark.parametrize(
    ("count", "evaluate", "augment", "messages"),
    [
        (0, "resize(8,8)", "resize(8,8)", ["give 1 or more"]),
        (1, "random_crop(8)", "resize(8,8)", ["view 0 must be deterministic"]),
        (2, "resize(8,8)", "random_crop(9)", ["differ in size"]),
        (2, "resize(8)", "flip", ["the evaluate transform 'resize(8)'", "the augment transform 'flip'"]),
        (0, "flip", "random_crop(9)", ["give 1 or more", "must be deterministic", "the evaluate transform 'flip'"]),
    ],
)
def test_every_contradiction_is_reported(count, evaluate, augment, messages):
    with pytest.raises(ConfigError) as caught:
        ViewSpec(count, 0, Transform.parse(evaluate), Transform.parse(augment))
    assert len(caught.value.problems) == len(messages)
    for problem, message in zip(caught.value.problems, messages, strict=True):
        assert message in problem


def test_every_channel_of_five_is_cut_as_those_of_rgb_are():
    """A picture of five channels, of which three are RGB, gives in these the views of the picture in RGB."""
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    five = np.dstack([rgb, rgb[..., :2]])
    file = io.BytesIO()
    tifffile.imwrite(file, five, photometric="minisblack", planarconfig="contig")
    augment = Transform.parse("random_resized_crop(24)|flip|rotate(20)|random_crop(20,pad=2)")
    evaluate = Transform.parse("resize(30,filter=bicubic)|centre_crop(20)")
    views = ViewSpec(6, 0, evaluate, augment)
    expected = views.make(encoded(rgb, "PNG"), SHA, range(6))
    made = replace(views, pixels=PixelSpec(5)).make(EncodedImage(file.getvalue(), "a"), SHA, range(6))
    np.testing.assert_array_equal(made, np.concatenate([expected, expected[..., :2]], axis=3))


def test_operations_on_colours_are_for_three_channels():
    transforms = Transform.parse("resize(16,16)|grey"), Transform.parse("random_resized_crop(16)|jitter(0.2)")
    with pytest.raises(ConfigError) as caught:
        ViewSpec(2, 0, *transforms, "nvjpeg", PixelSpec(1))
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == ["grey", "jitter(0.2)", "decoder"]


@pytest.mark.parametrize("v", [-1, 3])
def test_a_view_that_is_not_there_is_refused(v):
    with pytest.raises(ConfigError, match="views 0 to 2"):
        ViewSpec(3, 0, EVALUATE, AUGMENT).view(IMAGE, SHA, v)


def test_a_large_jpeg_is_decoded_smaller_for_each_view_by_its_own_transform(monkeypatch):
    """Smooth content: noise would be averaged away by either way of shrinking."""
    ramp = np.linspace(0, 255, 800, dtype=np.uint8)
    image = encoded(np.stack([np.tile(ramp, (600, 1))] * 3, axis=-1), "JPEG")
    decoded = []
    original = EncodedImage._decode
    monkeypatch.setattr(EncodedImage, "_decode", lambda self, r, p: decoded.append(r) or original(self, r, p))
    spec = ViewSpec(3, 0, EVALUATE, Transform.parse("random_resized_crop(16,scale=0.01..1)"))
    for v in range(3):
        spec.view(image, SHA, v)
    # 600 >= 8 * 2 * 20 for view 0; a part of 1 % and 3:4 is 52 wide, so 185 is wanted: no reduction keeps twice of it.
    assert decoded == [8, 1]
    alone = ViewSpec(1, 0, EVALUATE, EVALUATE).view(image, SHA, 0)
    np.testing.assert_array_equal(alone, spec.view(image, SHA, 0))
    exact = EVALUATE.apply(*image.bands(), np.random.default_rng(0))
    assert np.abs(alone.astype(int) - exact).max() <= 2


@pytest.mark.parametrize(
    ("fmt", "side", "shape"),
    [
        ("JPEG", 37, (75, 100)),
        ("JPEG", 38, (150, 200)),
        ("JPEG", 76, (300, 400)),
        ("JPEG", None, (600, 800)),
        ("PNG", 8, (600, 800)),
    ],
)
def test_only_what_stays_twice_as_large_is_decoded_smaller(fmt, side, shape):
    assert encoded(np.zeros((600, 800, 3), np.uint8), fmt).pixels(side).shape == (*shape, 3)


def test_view_0_of_100_photographs_is_pillows(real_data):
    """Thumbnails bit for bit; enlarged to a camera's size, where JPEGs decode at a part of theirs, within a mean of 1 of 255."""
    files = sorted(real_data.glob("real/*/*/*.jpg"))
    transform = Transform.parse("resize(256)|centre_crop(224)")
    spec = ViewSpec(1, 0, transform, transform)
    for number, file in enumerate(files[:: len(files) // 100][:100]):
        exact = reference(Image.open(file).convert("RGB"))
        np.testing.assert_array_equal(spec.view(EncodedImage(file.read_bytes(), file.name), SHA, 0), exact)
        if number % 20 == 0:
            large, content = (
                Image.open(file).convert("RGB").resize((3000, 2400), Image.Resampling.BICUBIC),
                io.BytesIO(),
            )
            large.save(content, "JPEG", quality=92)
            found = spec.view(EncodedImage(content.getvalue(), file.name), SHA, 0).astype(int)
            deviation = np.abs(found - reference(Image.open(content).convert("RGB")))
            assert deviation.mean() < 1
            assert deviation.max() < 32


def reference(image):
    """torchvision's evaluation transform on Pillow's full-size pixels."""
    from torchvision.transforms import CenterCrop, Compose, Resize

    return np.asarray(Compose([Resize(256), CenterCrop(224)])(image))
