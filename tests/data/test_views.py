import hashlib

import numpy as np
import pytest

from udta.data import Transform, ViewSpec
from udta.errors import ConfigError

EVALUATE = Transform.parse("resize(20)|centre_crop(16)")
AUGMENT = Transform.parse("random_resized_crop(16,scale=0.3..1)|flip|jitter(0.3)")
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
SHA = hashlib.sha256(b"an image").hexdigest()


def test_view_0_is_the_evaluation_transform():
    spec = ViewSpec(3, 0, EVALUATE, AUGMENT)
    expected = EVALUATE.apply(IMAGE, np.random.default_rng(9))
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
    expected = AUGMENT.apply(IMAGE, np.random.Generator(source))
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


@pytest.mark.parametrize("v", [-1, 3])
def test_a_view_that_is_not_there_is_refused(v):
    with pytest.raises(ConfigError, match="views 0 to 2"):
        ViewSpec(3, 0, EVALUATE, AUGMENT).view(IMAGE, SHA, v)
