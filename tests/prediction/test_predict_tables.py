"""The columns and lines of a table of predictions, from wherever images come and wherever the table goes."""

import io
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import udta
from udta._console.messages import messages_shown
from udta.cli.main import command
from udta.errors import ConfigError
from udta.store import relabelled


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_store):
    """Classes, labels and numbers of the same images."""
    store, folder = udta.open_store(toy_store), tmp_path_factory.mktemp("runs")
    several = np.eye(3, dtype=np.float32)[store.labels] @ np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float32)
    tasks = {
        "kind": store,
        "tags": relabelled(store, several, ("no dog", "cat"), "multilabel"),
        "size": relabelled(store, store.labels[:, None] * 10.0, ("height",), "regression"),
    }
    for name, task in tasks.items():
        udta.train(task, out=folder / name, adapter="ridge", device="cpu")
    return {name: str(folder / name) for name in tasks}


def predicted(photos, adapters, **options):
    return udta.predict(photos / "cat", adapters=adapters, backbone="toy:net", device="cpu", **options)


def test_what_is_read_back_is_what_was_said(runs, photos, tmp_path):
    options = {"adapters": list(runs.values()), "top_k": 2, "probabilities": True}
    kept = predicted(photos, **options).table
    assert list(kept) == [
        "path", "adapter", "label", "probability", "value", "rank",
        "probability:bird", "probability:cat", "probability:dog", "probability:no dog",
    ]  # fmt: skip
    assert predicted(photos, out=tmp_path / "p.parquet", **options).table == kept
    report = predicted(photos, out=tmp_path / "p.csv", **options)
    for name, column in report.table.items():
        rounded = [round(cell, 6) if isinstance(cell, float) else cell for cell in kept[name]]
        assert column == rounded
    assert report.to_pandas()["rank"].max() == 2


def test_lines_of_each_task(runs, photos):
    table = predicted(photos, list(runs.values()), top_k=2, probabilities=True).table
    lines = [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]
    first = {
        name: [line for line in lines if line["adapter"] == run][: 1 + (name != "size")] for name, run in runs.items()
    }
    kind, other = first["kind"]
    assert (kind["label"], kind["rank"], other["rank"], kind["value"]) == ("cat", 1, 2, None)
    assert kind["probability"] == kind["probability:cat"] >= other["probability"]
    assert sum(kind[f"probability:{name}"] for name in ("bird", "cat", "dog")) == pytest.approx(1, abs=1e-5)
    assert kind["probability:no dog"] is None
    # Of several labels the likeliest, whichever side of its threshold; a class and a label of one name share a column.
    assert {line["label"] for line in first["tags"]} == {"no dog", "cat"}
    assert first["tags"][0]["probability:cat"] is not None
    [size] = first["size"]
    assert (size["label"], size["probability"], size["rank"], size["probability:cat"]) == ("height", None, None, None)
    assert size["value"] == pytest.approx(10, abs=6)


def test_views_are_those_of_a_predictor(runs, photos):
    files = sorted((photos / "cat").iterdir())
    expected = udta.Predictor(runs["size"], backbone="toy:net", views=3)(files)[runs["size"]].values[:, 0]
    assert predicted(photos, [runs["size"]], views=3).table["value"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_stream_is_given_what_a_file_would_hold(runs, photos, tmp_path):
    predicted(photos, [runs["kind"]], out=tmp_path / "p.csv")
    report = predicted(photos, [runs["kind"]], out=(stream := io.StringIO()))
    assert stream.getvalue() == (tmp_path / "p.csv").read_text()
    with pytest.raises(ConfigError, match="went to a stream"):
        report.table  # noqa: B018


def invoked(*arguments, stdin=None):
    with messages_shown():
        return CliRunner().invoke(command, ["predict", *map(str, arguments)], input=stdin, catch_exceptions=True)


def test_a_list_on_standard_input_and_a_table_on_standard_output(runs, photos, monkeypatch):
    monkeypatch.chdir(photos)
    options = ("--adapter", runs["kind"], "--backbone", "toy:net", "--out", "-")
    done = invoked("-", *options, stdin="cat/001.png\n\ndog/000.png\r\n")
    assert done.exit_code == 0, done.output
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["path", "cat/001.png", "dog/000.png"]
    assert "2 image(s) x 1 adapter(s)" in done.stderr
    assert invoked("-", "cat", *options, stdin="").exit_code == 2
    assert invoked("cat", *options, "--json").exit_code == 2
    assert "names no image" in invoked("-", *options, stdin="\n").output


def test_all_that_is_wrong_is_said_at_once(runs):
    with pytest.raises(ConfigError) as caught:
        udta.predict("absent", adapters=[], out="p.xls", top_k=0, views=0)
    assert len(caught.value.problems) == 3


def test_pandas_is_asked_for_by_name(runs, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        predicted(photos, [runs["kind"]]).to_pandas()
