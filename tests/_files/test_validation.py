"""Options as models: what a field refuses, and the sentence that says so wherever the field stands."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from udta._files.validation import (
    LocalPath,
    Mark,
    Options,
    at_least,
    one_of,
    parse_bytes,
    sentences,
    told_by_pydantic,
)
from udta.errors import ConfigError


class Inner(Options):
    kind: Annotated[str, Mark.OF_A_STORE, one_of(lambda: ("azure", "green"))] = "azure"
    count: Annotated[int | None, at_least(1, "one is needed")] = None


class Outer(Options):
    inner: Inner = Inner()
    maybe: Inner | None = None
    many: dict[str, Inner] = Field(default={})
    out: LocalPath


def problems(**given):
    with pytest.raises(ValidationError) as caught:
        Outer(**{"out": "x", **given})
    return sentences(caught.value, Outer, "a.yaml")


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ("inner", lambda inner: {"inner": inner}),
        ("maybe", lambda inner: {"maybe": inner}),
        ("many.first", lambda inner: {"many": {"first": inner}}),
        ("many.kind", lambda inner: {"many": {"kind": inner}}),
    ],
)
def test_sentences_name_place_and_nearest_name(where, given):
    assert problems(**given({"knid": 1})) == [f"a.yaml: {where}.knid: there is no such setting: did you mean 'kind'?"]
    assert problems(**given({"kind": "gren"})) == [f"a.yaml: {where}.kind is 'gren': did you mean 'green'?"]
    assert problems(**given({"count": 0})) == [f"a.yaml: {where}.count is 0, but one is needed"]


def test_everything_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        Outer.checked({"out": "s3://bucket/x", "inner": {"kind": 3, "count": "q"}, "mayby": None})
    assert len(caught.value.problems) == 4
    assert caught.value.problems[0].startswith("inner.kind is 3: ")
    assert "out is 's3://bucket/x', a URL" in str(caught.value)


def test_braces_of_a_user_are_text():
    assert problems(inner={"kind": "{x}{0}"}) == ["a.yaml: inner.kind is '{x}{0}': valid are: azure, green"]


def test_errors_of_ours_keep_their_sentences():
    with pytest.raises(Exception, match="one\ntwo") as caught, told_by_pydantic():
        raise ConfigError(["one", "two"])
    assert caught.type.__name__ == "PydanticCustomError"


def test_options_of_a_mark_and_those_among_other_names():
    assert Inner.marked(Mark.OF_A_STORE) == ("kind",)
    assert Inner.among({"count": 2, "self": 3}) == {"count": 2}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (300_000, 300_000),
        ("300000", 300_000),
        ("300kB", 300_000),
        ("1.5 MB", 1_500_000),
        ("2gb", 2 * 10**9),
        (" 7 B", 7),
    ],
)
def test_numbers_of_bytes(text, number):
    assert parse_bytes("budget", text) == number


@pytest.mark.parametrize("text", ["", "kB", "-1", "1e6", "300KiB", "0.1B", True, None, "٣kB", [1]])
def test_what_is_no_number_of_bytes(text):
    with pytest.raises(ConfigError, match=r"^budget is .*: give a number of bytes, such as 300000, 300kB or 1\.5MB"):
        parse_bytes("budget", text)
