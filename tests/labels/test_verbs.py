"""Every verb that trains or measures takes labels of a file, and says which they were."""

import json

import pytest
from click.testing import CliRunner

import udta
from udta._console.messages import messages_shown
from udta.adapters import load_adapter
from udta.cli.main import command
from udta.errors import AdapterError, ConfigError


@pytest.fixture(scope="module")
def colours(tmp_path_factory, toy_store):
    """Which image of each class is even: another task over the same images, of the names that they have in the file."""
    ids = udta.open_store(toy_store).ids.tolist()
    file = tmp_path_factory.mktemp("labels") / "colours.csv"
    rows = [f"{name},{'dog' if name.startswith('dog') else 'no dog'},{row}" for row, name in enumerate(ids[1:])]
    file.write_text("\n".join(["path,dog,number", *rows, "gone.png,dog,0"]) + "\n")
    return file


def verb(*arguments):
    with messages_shown():
        done = CliRunner().invoke(command, [str(part) for part in arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory, toy_store, colours):
    out = tmp_path_factory.mktemp("runs") / "dogs"
    options = ("--labels", colours, "--column", "dog")
    done = verb("train", toy_store, "--adapter", "linear", "--epochs", 20, "--lr", 0.05, *options, "--out", out)
    assert "1 image(s)" in done.stderr
    assert "gone.png" in done.stderr
    return out


def test_train_says_which_labels_they_were(run, toy_store, colours):
    metrics, header = json.loads((run / "metrics.json").read_text()), load_adapter(run)[1]
    assert header.classes == ("dog", "no dog")
    assert metrics["labels"] == header.training["labels"]
    assert metrics["labels"]["file"] == "colours.csv"  # no path of this machine
    assert metrics["labels"]["columns"] == ["dog"]
    assert (metrics["labels"]["missing"]["count"], metrics["labels"]["unknown"]["ids"]) == (1, ["gone.png"])
    again = udta.train(
        toy_store, out=run, adapter="linear", recipe={"epochs": 20, "lr": 0.05}, labels=colours, column="dog"
    )
    assert again.found
    assert again.labels == metrics["labels"]
    with pytest.raises(AdapterError, match="another finished run"):
        udta.train(toy_store, out=run, adapter="linear", recipe={"epochs": 20, "lr": 0.05})


def test_evaluate_has_the_labels_of_the_file_by_name(run, toy_store, colours, tmp_path):
    options = ("--labels", colours, "--column", "dog", "--predictions", tmp_path / "p.csv")
    found = json.loads(verb("evaluate", run, toy_store, *options, "--json").stdout)
    assert found["labels"]["file"] == "colours.csv"
    assert found["top1"] == json.loads((run / "metrics.json").read_text())["top1"]
    assert "no dog" in (tmp_path / "p.csv").read_text()
    # The other way round: names decide, not numbers.
    swapped = tmp_path / "swapped.csv"
    lines = colours.read_text().replace("no dog", "A").replace("dog,", "no dog,").replace("A", "dog").splitlines()
    swapped.write_text("\n".join(["path,dog,number", *lines[1:]]))
    other = udta.evaluate(run, toy_store, labels=swapped, column="dog")
    assert other["top1"] == pytest.approx(1 - found["top1"])
    with pytest.raises(AdapterError, match=r"was trained on the labels of 'colours.csv'.*give the file by --labels"):
        udta.evaluate(run, toy_store)


def test_few_shot_and_sweeps_have_them_too(toy_store, colours, tmp_path):
    options = ("--labels", colours, "--column", "dog")
    verb(
        "fewshot", toy_store, *options, "--adapter", "ridge", "--shots", "1,all", "--seeds", 1, "--out", tmp_path / "f"
    )
    assert load_adapter(tmp_path / "f" / "1" / "0")[1].classes == ("dog", "no dog")
    (tmp_path / "s.yaml").write_text("adapters:\n  a: {adapter: ridge}\n  b: {adapter: ridge, labels: null}\n")
    verb("sweep", toy_store, *options, "--adapters", tmp_path / "s.yaml", "--out", tmp_path / "s")
    assert load_adapter(tmp_path / "s" / "runs" / "a")[1].classes == ("dog", "no dog")
    assert load_adapter(tmp_path / "s" / "runs" / "b")[1].classes == ("bird", "cat", "dog")
    assert {path.name for path in (tmp_path / "s" / "best").iterdir()} == {"colours", "store"}


def test_few_shot_counts_the_images_of_a_class(toy_store, colours, tmp_path):
    with pytest.raises(ConfigError, match="few-shot curves count the images of a class"):
        udta.fewshot(toy_store, out=tmp_path / "f", labels=colours, column="number", task="regression")
