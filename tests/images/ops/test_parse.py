"""Transform strings: what is read, what is written, and what is said of mistakes."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udta.errors import ConfigError
from udta.images import Transform
from udta.images.ops.op import Span
from udta.images.ops.pillow_ops import (
    FILTERS,
    CentreCrop,
    Flip,
    Grey,
    Jitter,
    RandomCrop,
    RandomResizedCrop,
    Resize,
    Rotate,
)

sides = st.integers(1, 99999)


def spans(high):
    bound = st.floats(1e-6, high, allow_nan=False)
    return st.tuples(bound, bound).map(lambda pair: Span(min(pair), max(pair)))


ops = st.one_of(
    st.builds(Resize, sides, st.none() | sides, filter=st.sampled_from(sorted(FILTERS))),
    st.builds(CentreCrop, sides),
    st.builds(RandomResizedCrop, sides, scale=spans(1), ratio=spans(100)),
    st.builds(RandomCrop, sides, pad=st.integers(0, 99999)),
    st.builds(Jitter, st.floats(0, 1, exclude_min=True)),
    st.builds(Rotate, st.floats(0, 180, exclude_min=True)),
    st.sampled_from([Flip(), Grey()]),
)


@settings(deadline=None)
@given(st.lists(ops, min_size=1, max_size=6))
def test_parse_reads_back_what_str_writes(found):
    transform = Transform(tuple(found))  # not in the strategy: beartype draws which item of a tuple it looks at
    assert Transform.parse(str(transform)) == transform
    assert str(Transform.parse(str(transform))) == str(transform)


@settings(deadline=None)
@given(st.text(alphabet="resizflp()|,=.0123456789 n", max_size=40))
def test_any_text_is_a_transform_or_a_config_error(text):
    with contextlib.suppress(ConfigError):
        assert Transform.parse(text).ops


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("resize(256)|centre_crop(224)", "resize(256)|centre_crop(224)"),
        (" resize( 8 , 9 ) | flip() ", "resize(8,9)|flip"),
        ("resize(256,filter=bilinear)", "resize(256)"),
        ("resize( 8, filter = bicubic,9)", "resize(8,9,filter=bicubic)"),
        ("random_resized_crop(224,scale=0.350..1.0)", "random_resized_crop(224,scale=0.35..1)"),
        ("random_resized_crop(224,scale=0.08..1)", "random_resized_crop(224)"),
        ("random_crop(32,pad=04)|jitter(.20)|rotate(15.0)|grey", "random_crop(32,pad=4)|jitter(0.2)|rotate(15)|grey"),
    ],
)
def test_canonical_spelling(text, canonical):
    assert str(Transform.parse(text)) == canonical


def test_every_problem_is_reported_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        Transform.parse(
            "resiz(2)|centre_crop(0)||random_crop(3,pda=2)|jitter|flip(1)|random_crop(3,pad=1,pad=2)|resize(1"
        )
    problems = caught.value.problems
    expected = [
        "did you mean 'resize'?",
        "side is '0', but must be a whole number from 1 to 99999",
        "has an empty step",
        "did you mean 'pad'?",
        "jitter needs its argument 'strength'",
        "flip takes no argument, but 1 were given",
        "'pad' is given twice",
        "it must end with the bracket",
    ]
    assert len(problems) == len(expected)
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


@pytest.mark.parametrize("argument", ["nan", "0", "-1", "2", "inf", "x", ""])
def test_arguments_outside_of_their_bounds_are_refused(argument):
    with pytest.raises(ConfigError, match="strength"):
        Transform.parse(f"jitter({argument})")
    with pytest.raises(ConfigError, match=r"low\.\.high|scale"):
        Transform.parse(f"random_resized_crop(8,scale={argument}..1)")


def test_an_unknown_filter_is_refused():
    with pytest.raises(ConfigError, match="filter is 'cubic', but must be one of bilinear, bicubic, lanczos"):
        Transform.parse("resize(8,filter=cubic)")
