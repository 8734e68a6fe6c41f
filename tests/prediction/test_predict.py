"""Which images `predict` takes: one, a list, a folder of any shape; the same image has the same prediction in all of them."""

import csv

import pytest
from toy import photographs

import udta
from udta.cli.main import command


@pytest.fixture(scope="module")
def run(tmp_path_factory, toy_store):
    path = tmp_path_factory.mktemp("runs") / "run"
    udta.train(toy_store, out=path, adapter="ridge")
    return path


def table(path):
    with path.open(newline="") as file:
        return {row["path"]: (row["label"], row["probability"]) for row in csv.DictReader(file)}


def test_one_image_a_list_and_folders_below_folders(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = photographs(tmp_path / "new", per_class=2, seed=3)
    (root / "cat").rename(root / "dog" / "deep")
    (root / "loose.png").write_bytes((root / "bird" / "000.png").read_bytes())

    def predicted(images, **options):
        udta.predict(images, adapters=[run], out="p.csv", backbone="toy:net", **options)
        return table(tmp_path / "p.csv")

    every = predicted("new")
    assert sorted(every) == [
        "bird/000.png", "bird/001.png", "dog/000.png", "dog/001.png",
        "dog/deep/000.png", "dog/deep/001.png", "loose.png",
    ]  # fmt: skip
    assert [every[name][0] for name in ("bird/001.png", "dog/deep/000.png", "loose.png")] == ["bird", "cat", "bird"]
    assert predicted("new/loose.png") == {"new/loose.png": every["loose.png"]}
    listed = predicted(["new/bird/001.png", root / "dog" / "deep", "new/gone.png"], on_error="skip")
    assert listed["new/bird/001.png"] == every["bird/001.png"]
    assert listed[f"{root}/dog/deep/000.png"] == every["dog/deep/000.png"]
    assert listed["new/gone.png"] == ("", "")


def test_the_command_takes_several(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "new", per_class=2, seed=3)
    images = ["new/bird/000.png", "new/cat"]
    command.main(
        ["predict", *images, "--adapter", str(run), "--out", "p.csv", "--backbone", "toy:net"], standalone_mode=False
    )
    assert list(table(tmp_path / "p.csv")) == ["new/bird/000.png", "new/cat/000.png", "new/cat/001.png"]
