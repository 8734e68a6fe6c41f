"""The file of a sweep: what it stands for, and every mistake in it."""

from pathlib import Path

import pytest

from udta.errors import ConfigError
from udta.labels.options import LabelOptions
from udta.training.sweep._spec import Halving, expand, load_file, parse


def members(entries, given=None):
    return expand(parse({"adapters": entries}, "f.yaml"), "f.yaml", Path("/data"), given or LabelOptions())


def test_an_entry_is_one_adapter_with_its_own_recipe():
    [member] = members({"plain": {"adapter": "linear", "recipe": {"epochs": 3}}})
    assert (member.name, member.adapter, member.seed, member.settings.epochs) == ("plain", "linear", 0, 3)
    assert member.settings.weight_decay == 30.0  # what is not said comes from the adapter
    assert members({"empty": None})[0].adapter == "udta"


def test_a_grid_is_a_product_and_every_adapter_has_a_name_of_its_own():
    found = members(
        {
            "u": {
                "seeds": [0, 1],
                "recipe": {"epochs": 2},
                "grid": {
                    "recipe": {"lr": [0.001, 0.002]},
                    "options": {"width": [8, 16]},
                    "taps": [["a", "b"], ["b"]],
                    "label_fraction": [0.1, 1.0],
                    "labels": ["colours.csv"],
                },
            }
        }
    )
    assert len(found) == len({member.name for member in found}) == 32
    first = found[0]
    assert first.name == "u-taps=a+b-label_fraction=0.1-labels=colours-width=8-lr=0.001-seed=0"
    assert (first.taps, first.label_fraction, first.labels) == (
        ("a", "b"),
        0.1,
        LabelOptions(labels="/data/colours.csv"),
    )
    assert (first.options, first.settings.lr, first.settings.epochs) == ({"width": 8}, 0.001, 2)


def test_labels_that_are_given_for_all_are_of_entries_without_some_of_their_own():
    given = LabelOptions(labels="/here/t.csv", column="colour", task="multilabel")
    entries = {
        "a": {},
        "b": {"column": "size"},
        "c": {"labels": "u.csv"},
        "d": {"labels": None},
        "e": {"task": "regression"},
    }
    assert [member.labels for member in members(entries, given)] == [
        given,
        given.model_copy(update={"column": "size"}),
        LabelOptions(labels="/data/u.csv"),
        LabelOptions(),
        given.model_copy(update={"task": "regression"}),
    ]
    names = [member.name for member in members({"x": {"grid": {"column": ["colour", "a b"]}}}, given)]
    assert names == ["x-column=colour", "x-column=a_b"]


def test_every_mistake_is_reported_with_the_nearest_name(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "adapters:\n"
        "  a: {adaptor: linear, label_fraction: 2, seeds: []}\n"
        "  b: {grid: {recepe: {lr: [1]}}}\n"
        "halving: {rung: 2}\n"
        "validaton: 0.1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_file(file)
    text = str(caught.value)
    assert len(caught.value.problems) == 6
    for part in (
        "did you mean 'adapter'",
        "label_fraction",
        "seeds",
        "did you mean 'recipe'",
        "'rungs'",
        "'validation'",
    ):
        assert part in text, part


def test_every_impossible_adapter_is_reported():
    with pytest.raises(ConfigError) as caught:
        members(
            {
                "a": {"adapter": "liner"},
                "b": {"recipe": {"epoch": 2, "lr": -1}},
                "c/d": {},
                "e": {"seeds": [1, 1]},
            }
        )
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    for part in (
        "adapters.a: ",
        "'linear'",
        "'epochs'",
        "lr is -1",
        "adapters.c/d: a name",
        "two adapters",
        "'e-seed=1'",
    ):
        assert part in text, part


def test_a_missing_or_broken_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_file(tmp_path / "absent.yaml")
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_file(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="adapters"):
        parse(None, "x")


def test_rungs_are_spaced_by_the_share_that_is_kept():
    assert Halving(rungs=3, keep=0.5).epochs(40) == [5, 10, 20]
    assert Halving(rungs=2, keep=0.25).epochs(16) == [1, 4]
    assert Halving(rungs=3, keep=0.5).epochs(1) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"seeds": list(range(300_000))},
        {"grid": {"recipe": {name: list(range(1, 101)) for name in ("epochs", "lr", "mixup", "clip", "batch_size")}}},
        {"seeds": list(range(200)), "grid": {"label_fraction": [0.1] * 51}},
    ],
)
def test_more_adapters_than_anybody_trains_are_refused_before_they_are_counted_out(entry):
    with pytest.raises(ConfigError, match="at the most"):
        members({"x": entry})


def test_an_entry_that_is_called_as_an_adapter_is_of_that_one():
    found = members({"linear": None, "ridge": {"seeds": [1]}, "wide": {}, "gda": {"adapter": "ranpac"}})
    assert [member.adapter for member in found] == ["linear", "ridge", "udta", "ranpac"]


@pytest.mark.slow
def test_ten_thousand_adapters_are_not_too_many():
    assert len(members({"x": {"adapter": "linear", "seeds": list(range(10_000))}})) == 10_000
