"""Several labels an image, and numbers: evaluated, and predicted of new images."""

import csv

import numpy as np
import pytest
from toy import photographs

import udta
from udta.errors import ConfigError
from udta.store import relabelled


@pytest.fixture(scope="module")
def runs(toy_store, tmp_path_factory):
    """Whether it is no dog, and whether it is a cat; and a height by class."""
    store, folder = udta.open_store(toy_store), tmp_path_factory.mktemp("runs")
    several = np.eye(3, dtype=np.float32)[store.labels] @ np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float32)
    tasks = {
        "labels": relabelled(store, several, ("no dog", "cat"), "multilabel"),
        "numbers": relabelled(store, store.labels[:, None] * 10.0 + 150, ("height",), "regression"),
    }
    for name, task in tasks.items():
        udta.train(task, out=folder / name, adapter="ridge", device="cpu")
    return tasks, folder


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_evaluation_and_its_table(runs, tmp_path):
    tasks, folder = runs
    metrics = udta.evaluate(folder / "labels", tasks["labels"], predictions=tmp_path / "l.csv", device="cpu")
    table = lines(tmp_path / "l.csv")
    right = [row["true:cat"] == row["predicted:cat"] for row in table]
    assert len(table) == metrics["n"]
    assert np.mean(right) > 0.8
    assert "confusion" not in metrics
    metrics = udta.evaluate(folder / "numbers", tasks["numbers"], predictions=tmp_path / "n.csv", device="cpu")
    errors = [abs(float(row["true:height"]) - float(row["predicted:height"])) for row in lines(tmp_path / "n.csv")]
    assert np.mean(errors) == pytest.approx(metrics["mae"], rel=1e-5)
    with pytest.raises(ConfigError, match="confusion is of classes, and these labels are multilabel"):
        udta.evaluate(folder / "labels", tasks["labels"], confusion=tmp_path / "c.csv")


def test_predictions_of_new_images(runs, tmp_path):
    _, folder = runs
    new = photographs(tmp_path / "new", per_class=2, seed=3)
    adapters = [folder / "labels", folder / "numbers"]
    udta.predict(new, adapters=adapters, out=tmp_path / "p.csv", backbone="toy:net", device="cpu")
    found = {}
    for row in lines(tmp_path / "p.csv"):
        found.setdefault((row["path"], row["adapter"].rpartition("/")[2]), []).append(row)
    assert {row["label"] for row in found["cat/000.png", "labels"]} == {"no dog", "cat"}
    [none] = found["dog/000.png", "labels"]
    assert none["label"] == ""
    assert 0 < float(none["probability"]) < 1
    [height] = found["cat/000.png", "numbers"]
    assert (height["label"], height["probability"]) == ("height", "")
    assert float(height["value"]) == pytest.approx(160, abs=6)
