"""What a recipe makes up for rare classes: values, files, and every mistake at once."""

import pytest

from udta.adapters import Recipe, find_adapter
from udta.errors import ConfigError

RECIPE = Recipe(epochs=3)


def problems(changes, recipe=RECIPE):
    with pytest.raises(ConfigError) as caught:
        recipe.override(changes)
    return caught.value.problems


def test_weights_are_read_from_a_file_or_a_mapping_and_are_equal_however_they_were_written(tmp_path):
    (tmp_path / "weights.csv").write_text("class,weight\nfrog,3\ncat, 0.5\n")
    read = RECIPE.override({"class_weights": str(tmp_path / "weights.csv")})
    assert read.class_weights == (("cat", 0.5), ("frog", 3.0))
    assert RECIPE.override({"class_weights": {"frog": 3, "cat": 0.5}}) == read
    assert read.override({"epochs": 4, "class_weights": read.class_weights}).class_weights == read.class_weights
    assert hash(read) == hash(RECIPE.override({"class_weights": {"cat": 0.5, "frog": 3}}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("class,weigth\ncat,1\n", "no column 'weight'"),
        ("class,weight\n", "no rows"),
        ("class,weight\ncat,heavy\n", "weight of 'cat' is 'heavy'"),
        ("class,weight\ncat,0\n", "a number above 0"),
        ("class,weight\ncat,nan\n", "a number above 0"),
        ("class,weight\ncat,inf\n", "a number above 0"),
        ("class,weight\ncat,1\ncat,2\n", "'cat' has several weights"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_which_it_is(tmp_path, content, message):
    path = tmp_path / "weights.csv"
    path.write_text(content)
    (found,) = problems({"class_weights": str(path)})
    assert message in found
    assert str(path) in found


def test_every_mistake_is_told_with_the_nearest_name():
    found = problems({"class_weights": "balancd", "sampling": "balance", "logit_adjustment": -1, "epoch": 2})
    assert len(found) == 4
    assert "did you mean 'balanced'" in found[0]
    assert "did you mean 'balanced'" in found[1]
    assert problems({"class_weights": 3}) == problems({"class_weights": 3})
    assert problems({"class_weights": {}})


def test_rare_classes_are_made_up_for_once():
    (found,) = problems({"class_weights": "balanced", "logit_adjustment": 1})
    assert "class_weights and logit_adjustment" in found
    assert problems({"sampling": "balanced"}, RECIPE.override({"logit_adjustment": 1.0}))
    assert (
        RECIPE.override({"class_weights": "none", "sampling": "uniform", "logit_adjustment": 1}).logit_adjustment == 1.0
    )


def test_a_closed_form_has_logit_adjustment_and_no_weights():
    assert find_adapter("ridge").recipe_with({"logit_adjustment": 1}).logit_adjustment == 1.0
    with pytest.raises(ConfigError, match="closed form: it has no class_weights, epochs"):
        find_adapter("ridge").recipe_with({"class_weights": "balanced", "logit_adjustment": 0.5, "epochs": 3})
