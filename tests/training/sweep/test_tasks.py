"""What an adapter sees of a store: shares of labels, validation, taps; and what tasks are called."""

from dataclasses import replace

import numpy as np
import pytest
from made_stores import make_layout, write_store

from udta import open_store
from udta.errors import ConfigError
from udta.labels.options import LabelOptions
from udta.store import relabelled
from udta.training.sweep._tasks import (
    UNUSED,
    VALIDATION,
    task_names,
    with_label_fraction,
    with_taps,
    with_validation,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks") / "s.zarr"
    layout = make_layout(60, views=1)
    write_store(path, replace(layout, splits=("train",) * 48 + ("test",) * 12))
    return open_store(path)


def chosen(store, split):
    return set(np.flatnonzero(store.splits == split).tolist())


def test_validation_is_a_stratified_seeded_part_of_the_training_rows(store):
    carved = with_validation(store, 0.25, 0)
    assert chosen(carved, VALIDATION) < chosen(store, "train")
    assert chosen(carved, "test") == chosen(store, "test")
    for label in range(len(store.classes)):
        rows = store.rows("train")[store.labels[store.rows("train")] == label]
        assert len(chosen(carved, VALIDATION) & set(rows.tolist())) == round(0.25 * len(rows))
    assert chosen(with_validation(store, 0.25, 0), VALIDATION) == chosen(carved, VALIDATION)
    assert chosen(with_validation(store, 0.25, 1), VALIDATION) != chosen(carved, VALIDATION)
    assert not chosen(store, VALIDATION)  # the store itself is as it was


def test_copies_of_an_image_are_on_the_same_side(store):
    copies = with_taps(store, None)
    names = store.ids.tolist()
    copies.__dict__["hashes"] = {name: f"{row // 4:064x}" for row, name in enumerate(names)}
    carved = with_validation(copies, 0.3, 0)
    for start in range(0, 48, 4):
        assert len(set(carved.splits[start : start + 4].tolist())) == 1


def test_smaller_shares_of_labels_are_parts_of_larger_ones(store):
    shares = [set(with_label_fraction(store, share, 0).rows("train").tolist()) for share in (0.1, 0.3, 1.0)]
    assert shares[0] < shares[1] < shares[2] == chosen(store, "train")
    tiny = with_label_fraction(store, 1e-6, 0)
    assert sorted(tiny.labels[tiny.rows("train")].tolist()) == list(range(len(store.classes)))  # one of each class
    assert chosen(tiny, "test") == chosen(store, "test")
    assert chosen(tiny, UNUSED) == chosen(store, "train") - set(tiny.rows("train").tolist())


def test_a_task_without_classes_has_one_share_for_all(store):
    numbers = relabelled(store, np.arange(60.0)[:, None], ["age"], "regression")
    assert len(chosen(with_validation(numbers, 0.25, 0), VALIDATION)) == 12
    assert len(with_label_fraction(numbers, 0.1, 0).rows("train")) == 5


def test_every_task_has_a_name_of_its_own():
    def names(*tables, column=None):
        return list(task_names([LabelOptions(labels=table, column=column) for table in tables]).values())

    assert names(None, "x/colours.csv", "x/colours.csv") == ["store", "colours"]
    assert names("a/labels.csv", "b/labels.csv", "b/c.csv") == ["c", "a-labels", "b-labels"]
    assert names(None, "a/store.csv") == ["store", "a-store"]
    assert names("a/T.csv", "a/t.csv", "a/t.parquet") == ["T-1", "t-2", "t-3"]
    assert names("a b/x y.csv") == ["x_y"]
    columns = [LabelOptions(labels="a/birds.csv", column=name) for name in ("colour", "size,age")]
    assert list(task_names(columns).values()) == ["birds-colour", "birds-size_age"]
    assert names("a/t.csv", "b/t.csv", column="x") == ["a-t-x", "b-t-x"]


def test_taps_can_be_fewer(store):
    first = next(iter(store.taps))
    assert list(with_taps(store, [first]).taps) == [first]
    with pytest.raises(ConfigError, match="no tap"):
        with_taps(store, ["absent"])
