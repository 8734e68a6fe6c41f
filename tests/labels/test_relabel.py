"""A store under the labels of a file: in every format, whatever the file lacks or has too much."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_stores import make_layout, write_store

import udta
from udta.errors import ConfigError, DataError
from udta.labels._sides import RULE


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "s"
    write_store(path, make_layout())
    return udta.open_store(path)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Images without labels and splits, and their content's hashes: the first half is of low ones."""
    path, layout = tmp_path_factory.mktemp("labels") / "flat", make_layout(8)
    layout = replace(layout, labels=np.full(8, -1), classes=(), splits=("unlabelled",) * 8, split_rule="unlabelled")
    write_store(path, layout)
    found = udta.open_store(path)
    found.__dict__["hashes"] = {name: ("00" if row < 4 else "ff") * 32 for row, name in enumerate(found.ids.tolist())}
    return found


def write(path, rows, header="path,label"):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def rows_of(store, label="ab"):
    return [(name, label[row % len(label)]) for row, name in enumerate(store.ids.tolist())]


def test_a_table_in_any_format_gives_the_same(store, tmp_path):
    names, labels = store.ids.tolist(), ["10", "2", "10", "2", "", "2", "10", "2", "2", "2"]
    write(tmp_path / "t.csv", zip(names, labels, strict=True))
    given = [int(label) if label else None for label in labels]
    pq.write_table(pa.table({"path": names, "label": given, "image": [b"x"] * 10}), tmp_path / "t.parquet")
    lines = [
        {"path": name, "label": label} if label else {"path": name} for name, label in zip(names, given, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    for name in ("t.csv", "t.parquet", "t.jsonl"):
        found = udta.with_labels(store, tmp_path / name)
        assert found.classes == ("2", "10"), name  # by value, as folders of numbers are
        assert found.labels.tolist() == [1, 0, 1, 0, -1, 0, 1, 0, 0, 0]
        assert found.label_source["file"] == name
        assert len(found.label_source["sha256"]) == 64


def test_what_is_missing_and_what_is_unknown_is_counted_and_named(store, tmp_path, caplog):
    file = write(tmp_path / "t.csv", [*rows_of(store)[2:], ("nowhere.png", "c")])
    with caplog.at_level("INFO", "udta"):
        found = udta.with_labels(store, file)
    assert found.label_source["missing"] == {"count": 2, "ids": ["dog/0.png", "cat/1.png"]}
    assert found.label_source["unknown"] == {"count": 1, "ids": ["nowhere.png"]}
    assert found.classes == ("a", "b")  # none of its images is a `c`
    assert np.flatnonzero(~found.labelled).tolist() == [0, 1]
    assert "2 image(s)" in caplog.text
    assert "nowhere.png" in caplog.text


def test_a_file_of_other_images_is_an_error_with_the_nearest_name(store, tmp_path):
    file = write(tmp_path / "t.csv", [("photos/7.png", "a"), ("photos/8.png", "b")])
    with pytest.raises(
        ConfigError, match=r"none of its 2 image\(s\).*'photos/7.png' is not.*nearest there is 'cat/7.png'"
    ):
        udta.with_labels(store, file)


def test_ids_as_other_systems_write_them(store, tmp_path):
    spelled = [f"./{name}" if row % 2 else name.replace("/", "\\") for row, name in enumerate(store.ids.tolist())]
    spelled[0] = f"other/{store.ids[0]}"
    file = write(tmp_path / "t.csv", [(name, "ab"[row % 2]) for row, name in enumerate(spelled)], "id,label")
    found = udta.with_labels(store, file)
    assert found.labels.tolist() == [-1, *(row % 2 for row in range(1, 10))]
    below = write(tmp_path / "u.csv", [(f"photos/{name}", label) for name, label in rows_of(store)])
    assert udta.with_labels(store, below).labelled.all()  # the folder that the store's images were in


def test_the_same_again_is_welcome_and_a_contradiction_is_not(store, tmp_path):
    rows = rows_of(store)
    assert udta.with_labels(store, write(tmp_path / "t.csv", [*rows, *rows[:3]])).labelled.all()
    with pytest.raises(ConfigError, match=r"2 of its rows contradict.*cat/1.png"):
        udta.with_labels(store, write(tmp_path / "u.csv", [*rows, (rows[1][0], "a"), (rows[2][0], "")]))


def test_a_column_split_is_used(store, tmp_path):
    rows = [(name, label, "test" if row < 3 else "train") for row, (name, label) in enumerate(rows_of(store))]
    found = udta.with_labels(store, write(tmp_path / "t.csv", rows, "path,label,split"))
    assert found.splits.tolist() == ["test"] * 3 + ["train"] * 7
    assert store.splits.tolist() != found.splits.tolist()
    assert found.label_source["split"] == "column"
    with pytest.raises(ConfigError, match=r"1 of its rows have a label but no split: dog/0.png"):
        udta.with_labels(store, write(tmp_path / "u.csv", [(*rows[0][:2], ""), *rows[1:]], "path,label,split"))


def test_images_that_nobody_gave_a_split_have_one_by_their_content(flat, tmp_path):
    file = write(tmp_path / "t.csv", rows_of(flat)[1:])
    found = udta.with_labels(flat, file)
    assert found.splits.tolist() == ["unlabelled", *["train"] * 3, *["test"] * 4]
    assert found.label_source["split"] == RULE
    assert set(flat.splits) == {"unlabelled"}


def test_features_without_labels_are_trained_on_those_of_a_file(flat, tmp_path):
    with pytest.raises(ConfigError, match="has no labels: give a file of them"):
        udta.train(flat, out=tmp_path / "r", adapter="linear")
    assert not (tmp_path / "r").exists()
    file = write(tmp_path / "t.csv", rows_of(flat))
    report = udta.train(flat, out=tmp_path / "r", adapter="linear", recipe={"epochs": 1}, labels=file)
    assert (report.train_samples, report.metrics["n"]) == (4, 4)


@pytest.mark.parametrize(
    ("header", "options", "problem"),
    [
        ("name,label", {}, "no column 'path' or 'id'"),
        ("path,colour,size", {}, "a class is in one column, but here are colour, size"),
        ("path,colour,size", {"column": "color"}, "no column 'color': did you mean 'colour'"),
        ("path,colour,size", {"column": "colour,sizes"}, "no column 'sizes': did you mean 'size'"),
        ("path,label", {"task": "multilabl"}, "task is 'multilabl': did you mean 'multilabel'"),
        ("path,label", {"separator": "|"}, "separator is of several labels a cell"),
        ("path,split", {}, "no column of labels, only path, split"),
    ],
)
def test_columns_that_do_not_fit(store, tmp_path, header, options, problem):
    cells = ["x"] * header.count(",")
    file = write(tmp_path / "t.csv", [(name, *cells) for name in store.ids.tolist()], header)
    with pytest.raises(ConfigError, match=problem):
        udta.with_labels(store, file, **options)


def test_the_only_column_is_the_one_and_a_comma_may_be_in_its_name(store, tmp_path):
    file = write(tmp_path / "t.csv", rows_of(store), 'path,"a, b"')
    for column in (None, "a, b"):
        assert udta.with_labels(store, file, column=column).label_source["columns"] == ["a, b"]


def test_without_a_file_there_is_nothing_to_say_of_one(store):
    assert udta.with_labels(store, None) is store
    with pytest.raises(ConfigError) as caught:
        udta.with_labels(store, None, column="a", separator=";", task="regression")
    assert len(caught.value.problems) == 3
    values = udta.store.relabelled(store, np.zeros((10, 1)), ["age"], "regression")
    assert udta.with_labels(values, None, task="regression") is values


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", "[1]\n"),
        ("t.csv", "path,label,label\na,b,c\n"),
        ("t.jsonl", "{\n"),
        ("t.ndjson", "[" * 5000),
        ("t.parquet", "PAR1"),
        ("t.csv", b"\xff,\n"),
    ],
)
def test_a_damaged_file_is_told(store, tmp_path, name, content, no_collection):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=name):
        udta.with_labels(store, tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        udta.with_labels(store, tmp_path / f"absent-{name}")


def test_ids_are_looked_up_without_going_through_all_of_them_for_each(store, tmp_path):
    """100,000 labels took 100,000 passes over as many ids."""

    class Counted(np.ndarray):
        passes = 0

        def tolist(self):
            Counted.passes += 1
            return super().tolist()

    counted, file = udta.store.twin(store), write(tmp_path / "t.csv", rows_of(store))
    counted.ids = store.ids.view(Counted)
    udta.with_labels(counted, file)
    assert Counted.passes <= 2
