"""The table of results."""

import csv
import json
from dataclasses import replace

import pytest

from udta.errors import DataError
from udta.reporting import read_result, to_csv, to_markdown, to_text


@pytest.fixture
def row(tmp_path):
    documents = {
        "features": {"seconds": 12.5, "rows": 10, "computed_rows": 4, "bytes": 3_000_000},
        "run": {"parameters": 1234, "train_seconds": 2.5},
        "metrics": {"top1": 0.5, "mean_per_class": 0.4, "top1_views": 0.6, "n": 20, "parity": {"same_top1": 0.75}},
    }
    paths = {name: tmp_path / f"{name}.json" for name in documents}
    for name, document in documents.items():
        paths[name].write_text(json.dumps(document))
    return read_result(("b", "d", "a"), **paths)


def test_text_and_markdown_show_percent_and_mark_resumed_extractions(row):
    for table in (to_text([row]), to_markdown([row])):
        for expected in ("50.0", "40.0", "60.0", "75.0", "1,234", "12.5*", "3.0", "2.5", "after an interruption"):
            assert expected in table
    lines = to_text([row]).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1


def test_csv_has_every_figure_as_it_was(row):
    [found] = csv.DictReader(to_csv([row]).splitlines())
    assert (float(found["top1"]), int(found["stored_bytes"]), found["resumed"]) == (0.5, 3_000_000, "True")


def test_a_task_without_classes_has_its_own_figure(row):
    other = replace(row, top1=None, mean_per_class=None, top1_views=None, figure="map", value=0.812, value_views=0.83)
    line = to_text([row, other]).splitlines()[3]
    assert "81.2 mAP" in line
    assert "83.0" in line
    [found] = csv.DictReader(to_csv([other]).splitlines())
    assert (found["top1"], found["figure"], found["value"]) == ("", "map", "0.812")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="dvc repro"):
        read_result(("b", "d", "a"), features=tmp_path / "x", run=tmp_path / "y", metrics=tmp_path / "z")
