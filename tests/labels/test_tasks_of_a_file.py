"""Several labels an image and numbers, from the file to the table of predictions."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

import udta
from udta._console.messages import messages_shown
from udta.adapters import load_adapter
from udta.cli.main import command
from udta.errors import AdapterError


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def world(tmp_path_factory, toy_store):
    """Runs of the three tasks over one store: which animals could be on a photograph, how old and heavy they are."""
    root = tmp_path_factory.mktemp("tasks")
    ids = udta.open_store(toy_store).ids.tolist()
    kinds = [name.partition("/")[0] for name in ids]
    tags = {"bird": "wings", "cat": "fur|legs", "dog": "fur|legs|barks"}
    years = {"bird": 1.0, "cat": 4.0, "dog": 9.0}
    (root / "tags.csv").write_text(
        "\n".join(["path,tags", *(f"{i},{tags[k]}" for i, k in zip(ids, kinds, strict=True))])
    )
    with (root / "numbers.jsonl").open("w") as file:
        for name, kind in zip(ids, kinds, strict=True):
            file.write(json.dumps({"path": name, "age": years[kind], "weight": 10 * years[kind] - 5}) + "\n")
    for name, file, options in (
        ("tags", "tags.csv", {"task": "multilabel", "separator": "|"}),
        ("numbers", "numbers.jsonl", {"task": "regression"}),
    ):
        udta.train(toy_store, out=root / name, adapter="ridge", labels=root / file, **options)
    udta.train(toy_store, out=root / "kinds", adapter="ridge")
    return root


def test_runs_know_their_task(world):
    for name, task, classes in (
        ("tags", "multilabel", ("barks", "fur", "legs", "wings")),
        ("numbers", "regression", ("age", "weight")),
    ):
        header = load_adapter(world / name)[1]
        assert (header.task, header.classes) == (task, classes)
        assert json.loads((world / name / "metrics.json").read_text())["n"] == header.metrics["n"] > 0


def test_evaluate_needs_no_task_and_writes_tables_of_it(world, toy_store, tmp_path):
    options = {"separator": "|", "predictions": tmp_path / "p.csv"}
    found = udta.evaluate(world / "tags", toy_store, labels=world / "tags.csv", **options)
    assert found["labels"]["columns"] == ["tags"]
    assert found["macro_f1"] == json.loads((world / "tags" / "metrics.json").read_text())["macro_f1"]
    lines = rows_of(tmp_path / "p.csv")
    assert len(lines) == found["n"]
    assert {(line["path"].partition("/")[0], line["true:wings"]) for line in lines} == {
        ("bird", "1"),
        ("cat", "0"),
        ("dog", "0"),
    }
    found = udta.evaluate(world / "numbers", toy_store, labels=world / "numbers.jsonl", predictions=tmp_path / "n.csv")
    errors = [abs(float(line["true:age"]) - float(line["predicted:age"])) for line in rows_of(tmp_path / "n.csv")]
    assert np.mean(errors) == pytest.approx(found["by_target"]["age"]["mae"], abs=1e-5)


def test_a_file_of_fewer_names_is_measured_by_those_of_the_adapter(world, toy_store, tmp_path):
    """No image of it barks, or all are of one kind: that is an answer like any other."""
    lines = [line for line in (world / "tags.csv").read_text().splitlines() if not line.startswith("dog")]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = udta.evaluate(world / "tags", toy_store, labels=tmp_path / "t.csv", separator="|")
    assert found["by_label"]["barks"]["n"] == 0
    (tmp_path / "u.csv").write_text(
        "\n".join(["path,label", *(f"{line.split(',')[0]},cat" for line in lines if line[:3] == "cat")])
    )
    found = udta.evaluate(world / "kinds", toy_store, labels=tmp_path / "u.csv")
    assert found["n"] > 0


def test_the_command_has_a_line_for_every_label(world, toy_store):
    with messages_shown():
        arguments = ["evaluate", world / "tags", toy_store, "--labels", world / "tags.csv", "--separator", "|"]
        done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()][-5:] == ["ap", "barks", "fur", "legs", "wings"]


def test_labels_of_another_task_are_refused(world, toy_store):
    with pytest.raises(AdapterError, match=r"was trained on the labels of 'tags.csv'.*give the file by --labels"):
        udta.evaluate(world / "tags", toy_store)
    with pytest.raises(AdapterError, match="trained for multilabel"):
        udta.evaluate(world / "tags", toy_store, labels=world / "numbers.jsonl", column="age", task="regression")


def test_one_table_of_predictions_for_all_tasks(world, photos, tmp_path):
    runs = [world / name for name in ("kinds", "tags", "numbers")]
    udta.predict(photos, adapters=runs, out=tmp_path / "p.csv", backbone="toy:net")
    by_run = {run.name: [line for line in rows_of(tmp_path / "p.csv") if line["adapter"] == str(run)] for run in runs}
    assert len(by_run["kinds"]) == 24
    assert all(line["value"] == "" and 0 < float(line["probability"]) <= 1 for line in by_run["kinds"])
    assert {line["label"] for line in by_run["tags"]} <= {"barks", "fur", "legs", "wings", ""}
    assert all(0 < float(line["probability"]) <= 1 for line in by_run["tags"])
    assert {line["path"] for line in by_run["tags"]} == {line["path"] for line in by_run["kinds"]}
    assert len(by_run["numbers"]) == 2 * 24
    ages = [float(line["value"]) for line in by_run["numbers"] if line["label"] == "age"]
    assert 0 < np.mean(ages) < 10
    udta.predict(photos, adapters=runs[:2], out=tmp_path / "q.csv", backbone="toy:net")
    assert "value" not in rows_of(tmp_path / "q.csv")[0]
