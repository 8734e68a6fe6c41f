"""Tables that people open in a spreadsheet."""

import csv
import io

import pytest

from udta._files.table_file import csv_cell, write_table


@pytest.mark.parametrize("value", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "-abc"])
def test_a_cell_is_no_formula(value):
    assert csv_cell(value) == f"'{value}"


@pytest.mark.parametrize("value", ["-1.5", "+3", "-1e-9", "a=b", "", "x@y", -1.5, 3, None])
def test_numbers_and_plain_names_stay(value):
    assert csv_cell(value) == value


def test_tables_for_people_hold_no_formulas_and_parquet_holds_the_names(tmp_path):
    columns = {"@x": ["=1", "a", "-2"], "value": [-1.5, 2.0, None]}
    write_table(tmp_path / "t.csv", columns)
    assert list(csv.reader(io.StringIO((tmp_path / "t.csv").read_text()))) == [
        ["'@x", "value"], ["'=1", "-1.500000"], ["a", "2.000000"], ["-2", ""],
    ]  # fmt: skip
    import pyarrow.parquet

    write_table(tmp_path / "t.parquet", columns)
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pydict()["@x"] == ["=1", "a", "-2"]
