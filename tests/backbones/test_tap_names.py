"""Names of arrays where several taps are of one module."""

from hypothesis import given, settings
from hypothesis import strategies as st

from udta._files.names import tap_problem
from udta.backbones._tap_names import named
from udta.fingerprint import TapSpec

REDUCERS = ["avg", "avg(prefix=1)", "avg(prefix=5)", "cls", "grid(14)", "grid(7)", "grid(7,prefix=5)", "none"]


def spec(module, reducer, name=None):
    return TapSpec(name or module, reducer, (8,), "float16", module)


def names(specs, stored=()):
    return [tap.name for tap in named(specs, stored)]


def test_numbers_stand_behind_the_reducer_without_brackets():
    assert names([spec("blocks.5", reducer) for reducer in ("grid(14)", "grid(7)", "cls")]) == [
        "blocks.5",
        "blocks.5@grid7",
        "blocks.5@cls",
    ]


def test_where_only_the_prefix_differs_it_stands_there_too():
    assert names([spec("b", reducer) for reducer in ("none", "avg(prefix=1)", "avg(prefix=5)")]) == [
        "b",
        "b@avg",
        "b@avg-prefix5",
    ]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(REDUCERS)), unique=True),
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(REDUCERS)), unique=True),
)
def test_names_are_unique_usable_and_stay(first, more):
    stored = named([spec(*kept) for kept in first])
    grown = named([spec(*kept) for kept in dict.fromkeys(more + first)], stored)
    assert len({tap.name for tap in grown}) == len(grown)
    assert set(stored) <= set(grown)
    for tap in grown:
        assert tap_problem(tap.name) is None
        assert not set(tap.name) & set("()[]{}*?$&;|<>'\"`!# ,=")


@settings(deadline=None)
@given(st.builds(spec, st.text(min_size=1), st.sampled_from(REDUCERS), st.text(min_size=1)))
def test_a_spec_comes_back_from_its_document(tap):
    assert TapSpec.from_json(tap.to_json()) == tap


def test_an_ordinary_tap_is_written_as_it_always_was():
    tap = spec("stage1", "avg")
    assert list(tap.to_json()) == ["name", "reducer", "shape", "dtype"]
    assert list(tap.identity) == ["reducer", "shape"]
    assert list(tap.attributes) == ["reducer", "dtype"]
