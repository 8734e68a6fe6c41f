"""A store under other labels: the same features, and one way to ask whether a row has a label."""

import numpy as np
import pytest
from made_stores import make_layout, write_store

from udta import open_store
from udta.store import relabelled, twin


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("twins") / "s"
    write_store(path, make_layout())
    return open_store(path)


def test_a_store_on_the_disk_is_of_many_classes(store):
    assert (store.task, store.label_source) == ("multiclass", {})
    assert store.labelled.dtype == bool
    assert store.labelled.all()


def test_other_classes(store):
    labels = np.arange(10) % 3 - 1
    other = relabelled(store, labels, ["x", "y"], source={"file": "t.csv"})
    assert (other.task, other.classes, other.label_source) == ("multiclass", ("x", "y"), {"file": "t.csv"})
    assert other.labels.dtype == np.int64
    np.testing.assert_array_equal(other.labelled, labels >= 0)
    np.testing.assert_array_equal(other.read([1])["head"], store.read([1])["head"])
    assert store.classes == ("dog", "cat")  # it is as it was
    assert twin(other).label_source == {"file": "t.csv"}


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_a_row_is_unlabelled_when_anything_of_it_is_unknown(store, task):
    values = np.ones((10, 2))
    values[3] = np.nan
    values[4, 1] = np.nan
    other = relabelled(store, values, ["a", "b"], task)
    assert other.labels.dtype == np.float32
    assert np.flatnonzero(~other.labelled).tolist() == [3, 4]


def test_labels_have_to_fit(store):
    with pytest.raises(ValueError, match=r"of shape \[10\], not \[9\]"):
        relabelled(store, np.zeros(9), ["a", "b"])
    with pytest.raises(ValueError, match=r"of shape \[10, 3\], not \[10, 2\]"):
        relabelled(store, np.zeros((10, 2)), ["a", "b", "c"], "regression")
