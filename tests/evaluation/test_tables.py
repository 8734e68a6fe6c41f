"""Tables of predictions and of the confusion matrix."""

import csv

import numpy as np
import pyarrow.parquet
import pytest

from udta._files.table_file import write_table
from udta.errors import ConfigError
from udta.evaluation._tables import confusion_columns, prediction_columns


def test_predictions_by_hand():
    values = np.log([[[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]]])
    columns = prediction_columns(["a.png", "b.png"], ["x", "y", "z"], values, np.array([0, 0]))
    assert columns["path"] == ["a.png", "b.png"]
    assert columns["label"] == ["x", "x"]
    assert columns["predicted"] == ["x", "y"]
    assert columns["probability"] == pytest.approx([0.7, 0.5])
    assert columns["rank"] == [1, 3]
    assert columns["predicted_views"] == ["y", "y"]
    geometric = np.sqrt([0.7 * 0.1, 0.2 * 0.8, 0.1 * 0.1])
    assert columns["probability_views"] == pytest.approx([(geometric / geometric.sum()).max(), 0.5])


def test_equal_classes_rank_as_the_metrics_sort_them():
    columns = prediction_columns(["a"], ["x", "y"], np.log(np.full((1, 1, 2), 0.5)), np.array([1]))
    assert (columns["predicted"], columns["rank"]) == (["x"], [2])


def test_confusion_has_a_line_for_each_true_class():
    columns = confusion_columns(["x", "y, or z"], np.array([[3, 1], [0, 2]]))
    assert columns == {"true/predicted": ["x", "y, or z"], "x": [3, 0], "y, or z": [1, 2]}


def test_csv_and_parquet_hold_the_same(tmp_path):
    columns = {"name": ["a, b", 'c"d'], "value": [0.25, None], "count": [1, 2]}
    write_table(tmp_path / "t.csv", columns)
    write_table(tmp_path / "t.parquet", columns)
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "a, b", "value": "0.250000", "count": "1"},
            {"name": 'c"d', "value": "", "count": "2"},
        ]
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pydict() == columns


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.parquet"):
        write_table(tmp_path / "t.xlsx", {"a": [1]})
