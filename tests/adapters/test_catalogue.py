"""`udta adapters`: what is listed of an adapter is what its code takes, word for word."""

import json
from dataclasses import asdict

import pytest

import udta
from udta.adapters import ADAPTERS, build_adapter


@pytest.fixture(scope="module")
def listed():
    return {info.name: info for info in udta.adapters().adapters}


def test_every_adapter_and_option_is_there_with_a_meaning(listed):
    assert list(listed) == list(ADAPTERS)
    for name, info in listed.items():
        assert (info.summary[-1:], "`" in info.summary) == (".", False), name
        assert [option.name for option in info.options] == list(ADAPTERS[name].options_type.model_fields)
        assert all(option.meaning.endswith(".") and option.kind for option in info.options), name


def test_defaults_are_those_that_an_adapter_is_built_with(listed):
    for name, info in listed.items():
        built = build_adapter(name, {"a": (4, 3, 3), "b": (6,)}, 3)
        assert {option.name: option.default for option in info.options} == built.options
        recipe = asdict(ADAPTERS[name].recipe)
        assert info.recipe == ({"logit_adjustment": 0.0} if info.closed_form else recipe)


def test_the_command_shows_them(udta_command):
    status, out, _ = udta_command("adapters")
    assert (status, len(out.splitlines())) == (0, len(ADAPTERS) + 3)
    status, out, _ = udta_command("adapters", "udta")
    assert "width         64         whole number from 2 to 512" in out
    assert "directions    learned    learned or principal" in out
    assert "recipe: epochs=40, batch_size=64, lr=0.001" in out
    assert "of a recipe it has logit_adjustment=0.0" in udta_command("adapters", "knn")[1]
    [found] = json.loads(udta_command("adapters", "ladder", "--json")[1])["adapters"]
    assert (found["options"][0]["name"], found["recipe"]["epochs"]) == ("width", ADAPTERS["ladder"].recipe.epochs)
    status, _, err = udta_command("adapters", "ldder")
    assert (status, "did you mean 'ladder'" in err) == (2, True)
