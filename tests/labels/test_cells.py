"""What cells say, by task."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udta.errors import ConfigError
from udta.labels._cells import CELLS, Cells
from udta.tasks import TASKS

NAN = math.nan


def read(task, separator=None, classes=(), **columns):
    ids = [f"{row}.png" for row in range(max(map(len, columns.values())))]
    return CELLS[task](Cells("t.csv", ids, columns, separator, classes))


def same(labels, expected):
    np.testing.assert_array_equal(labels, np.array(expected, dtype=labels.dtype))


def test_every_task_has_its_cells():
    assert list(CELLS) == list(TASKS)


def test_classes_are_text_or_whole_numbers():
    found = read("multiclass", label=["b", "a", "", " b "])
    assert found.names == ("a", "b")
    same(found.labels, [1, 0, -1, 1])
    # pandas made floats of whole numbers, because one is missing
    assert read("multiclass", label=[1.0, 2.0, NAN]).names == ("1", "2")
    assert read("multiclass", label=["1.0", "2.0", ""]).names == ("1", "2")
    assert read("multiclass", label=[True, False]).names == ("False", "True")
    with pytest.raises(ConfigError, match=r"1 class\(es\), but at least 2"):
        read("multiclass", label=["a", "a"])
    with pytest.raises(
        ConfigError, match=r"1 of its rows hold several values in 'label': give --task multilabel: 0.png"
    ):
        read("multiclass", label=[["a", "b"], "a"])


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["sea; sky", "", "sky", "sea;sea"], None),
        (["sea|sky", None, " sky", "sea|"], "|"),
        ([["sea", "sky"], [], ["sky"], ["sea"]], None),
    ],
)
def test_several_labels_a_cell_and_none_in_an_empty_one(cells, separator):
    found = read("multilabel", separator, labels=cells)
    assert found.names == ("sea", "sky")
    same(found.labels, [[1, 1], [0, 0], [0, 1], [1, 0]])


def test_a_separator_that_was_not_given_is_asked_for():
    for other in ("|", ","):
        with pytest.raises(ConfigError, match=rf"but 1 have '\{other}', such as 'sea\{other}sky': give --separator"):
            read("multilabel", labels=["sea", f"sea{other}sky"])
    assert read("multilabel", ";", labels=["sea", "sea,sky"]).names == ("sea", "sea,sky")


def test_columns_of_0_and_1_are_a_label_each_and_an_empty_cell_is_unknown():
    found = read("multilabel", sea=["1", "0", "", "0"], sky=[True, False, True, 1.0])
    assert found.names == ("sea", "sky")
    same(found.labels, [[1, 1], [0, 0], [NAN, NAN], [0, 1]])
    same(read("multilabel", sea=["1", "0"]).labels, [[1], [0]])
    assert read("multilabel", ";", digits=["1", "0"]).names == ("0", "1")  # who gives a separator means names
    with pytest.raises(ConfigError, match=r"each of several columns is a label, of 0 and 1.*'name'"):
        read("multilabel", sea=["1", "0"], name=["x", "y"])
    with pytest.raises(ConfigError, match=r"0 label\(s\)"):
        read("multilabel", labels=["", ""])


def test_numbers_in_their_units_and_an_image_without_one_is_unknown():
    found = read("regression", age=["1.5", "-2", "", "4e1"], size=[1, 2, 3, None])
    assert found.names == ("age", "size")
    assert found.labels.dtype == np.float32
    same(found.labels, [[1.5, 1], [-2, 2], [NAN, NAN], [NAN, NAN]])
    for wrong in ("x", True, ["1"], "1,5"):
        with pytest.raises(ConfigError, match=r"1 of its rows have no number in 'age': 1.png"):
            read("regression", age=["1", wrong])
    for infinite in ("inf", "1e300"):
        with pytest.raises(ConfigError, match=r"not finite in float32: 0.png"):
            read("regression", age=[infinite, "1"])
    with pytest.raises(ConfigError, match="separator"):
        read("regression", ";", age=["1"])


def test_a_column_of_comments_is_no_column_of_labels(monkeypatch):
    monkeypatch.setattr("udta.labels._cells.MOST_NAMES", 2)
    for task in ("multiclass", "multilabel"):
        with pytest.raises(ConfigError, match="is it the right column"):
            read(task, label=["a", "b", "c"])


words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(bool)


def test_names_that_are_known_need_no_cell():
    found = read("multiclass", classes=["c", "a"], label=["a", "a"])
    assert found.names == ("a", "c")
    same(found.labels, [0, 0])
    found = read("multilabel", classes=["sky", "sea"], labels=["sea", ""])
    assert found.names == ("sea", "sky")
    same(found.labels, [[1, 0], [0, 0]])


@given(st.lists(st.sets(words.filter(lambda word: ";" not in word)), min_size=1).filter(any))
def test_whatever_is_written_in_cells_is_read_again(labels):
    found = read("multilabel", ";", labels=[";".join(sorted(some)) for some in labels])
    assert [{found.names[column] for column in np.flatnonzero(row)} for row in found.labels] == labels


@given(st.lists(words, min_size=2).filter(lambda labels: len(set(labels)) > 1))
def test_classes_are_read_again(labels):
    found = read("multiclass", label=labels)
    assert [found.names[label] for label in found.labels] == labels


@given(st.lists(st.floats(width=32, allow_infinity=False), min_size=1))
def test_numbers_are_read_again(numbers):
    same(read("regression", x=[repr(number) for number in numbers]).labels[:, 0], numbers)
