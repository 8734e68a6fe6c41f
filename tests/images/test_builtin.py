"""Built-in datasets on tiny copies of their original layouts."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from builtin_layouts import LAYOUTS, found, text
from torchvision import datasets

from udta.cli import main
from udta.errors import ConfigError, DataError
from udta.images import read_images
from udta.images.builtin import BUILTIN
from udta.images.builtin.flowers102 import NAMES

REPOSITORY = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("name", sorted(BUILTIN))


def test_every_dataset_has_a_layout_here():
    assert LAYOUTS.keys() == BUILTIN.keys()


@EVERY
def test_the_official_split_in_the_order_of_its_lists(tmp_path, name):
    expected = LAYOUTS[name](tmp_path)
    manifest = read_images(f"{name}:{tmp_path}")
    assert found(manifest) == expected
    assert manifest.classes == tuple(sorted({label for _, label, _ in expected}))
    assert manifest.root == tmp_path
    assert manifest.split_rule == f"official, {BUILTIN[name].title}"
    assert all((manifest.root / manifest.ids[row]).is_file() for row in range(len(manifest)))


@EVERY
def test_the_folder_that_the_archive_or_torchvision_makes(tmp_path, name):
    folder = BUILTIN[name].folder
    expected = LAYOUTS[name](tmp_path / folder)
    prefix = f"{folder}/" if folder else ""
    assert found(read_images(f"{name}:{tmp_path}")) == [(prefix + path, *rest) for path, *rest in expected]


def _torchvision(name, root, split):
    """(file, class name) of every image as torchvision's own reader of the same files has them."""
    if name == "flowers102":
        data = datasets.Flowers102(root, split)
        return [(file, data.classes[label]) for file, label in zip(data._image_files, data._labels, strict=True)]
    if name == "cars":
        data = datasets.StanfordCars(root, split)
        return [(file, data.classes[label]) for file, label in data._samples]
    if name == "pets":
        data = datasets.OxfordIIITPet(root, "trainval" if split == "train" else split)
        return [(file, data.classes[label]) for file, label in zip(data._images, data._labels, strict=True)]
    data = {"aircraft": datasets.FGVCAircraft, "food101": datasets.Food101}[name](root, split)
    return [(file, data.classes[label]) for file, label in zip(data._image_files, data._labels, strict=True)]


@pytest.mark.parametrize("name", ["aircraft", "cars", "flowers102", "food101", "pets"])
def test_torchvision_reads_the_same_from_the_same_files(tmp_path, monkeypatch, name):
    monkeypatch.setattr(datasets.Flowers102, "_check_integrity", lambda self: True)  # the copy has no official checksum
    LAYOUTS[name](tmp_path / BUILTIN[name].folder)
    manifest = read_images(f"{name}:{tmp_path}")
    for split in set(manifest.splits):
        ours = [(str(tmp_path / path), label) for path, label, of in found(manifest) if of == split]
        theirs = [(str(file), label) for file, label in _torchvision(name, tmp_path, split)]
        if name == "pets":  # torchvision spells `american_bulldog` as `American Bulldog`
            ours = [(file, label.replace("_", " ").title()) for file, label in ours]
        assert ours == theirs


def test_the_names_of_the_flowers():
    assert len(set(NAMES)) == 102
    assert datasets.Flowers102.classes == list(NAMES)


@EVERY
def test_splits_replace_the_official_split(tmp_path, name):
    expected = LAYOUTS[name](tmp_path / "set")
    rows = [f"{path},{'test' if row % 2 else 'train'}" for row, (path, _, _) in enumerate(expected)]
    text(tmp_path / "splits.csv", "path,split", *rows)
    manifest = read_images(f"{name}:{tmp_path / 'set'}", splits=tmp_path / "splits.csv")
    assert manifest.ids == tuple(path for path, _, _ in expected)
    assert manifest.splits == tuple("test" if row % 2 else "train" for row in range(len(expected)))
    assert manifest.split_rule == "file"


# --- names and folders


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "flower102:x",
            "no folder or file 'flower102:x', and no built-in dataset 'flower102': did you mean 'flowers102'",
        ),
        ("CARS:x", "no built-in dataset 'CARS': valid are: aircraft, cars, cub200, dogs, flowers102, food101, pets"),
        (":x", "no built-in dataset ''"),
        ("pets:", "'pets:' names no folder: write pets:FOLDER"),
    ],
)
def test_a_spec_that_names_nothing(spec, message):
    with pytest.raises(ConfigError, match=message):
        read_images(spec)


def test_a_path_with_a_colon_that_is_there_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LAYOUTS["pets"](Path("a:b"))
    shutil.copytree("a:b/images", "pets:a/cat")
    assert read_images("pets:a").classes == ("cat",)
    assert read_images("pets:a:b").classes == ("Abyssinian", "american_bulldog", "wheaten_terrier")
    text(Path("x:1.csv"), "path,label", "a:b/images/Abyssinian_5.jpg,tabby")
    assert read_images("x:1.csv").classes == ("tabby",)


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    LAYOUTS["food101"](tmp_path / "food")
    assert len(read_images("food101:~/food")) == 5
    with pytest.raises(DataError, match="there is no folder ~no-such-user/food"):
        read_images("food101:~no-such-user/food")


# --- the command, and what is said about each set


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return caught.value.code, captured.out, captured.err


def test_plan_extract_train_and_predict(tmp_path, capsys):
    expected = LAYOUTS["cub200"](tmp_path / "birds/CUB_200_2011")
    images, store, run = f"cub200:{tmp_path / 'birds'}", tmp_path / "s.zarr", tmp_path / "run"
    options = ("--backbone", "toy:net", "--taps", "stage1=grid(4),stage2=avg", "--out", store, "--json")
    status, out, err = command(capsys, "plan", images, *options)
    assert (status, json.loads(out)["rows"]) == (0, 7), err
    status, _, err = command(capsys, "extract", images, *options)
    assert status == 0, err
    document = json.loads(command(capsys, "info", store, "--json")[1])
    assert (document["splits"], document["split_rule"]) == ({"test": 3, "train": 4}, "official, CUB-200-2011")
    assert command(capsys, "train", store, "--out", run, "--epochs", 1)[0] == 0
    options = ("--adapter", run, "--out", tmp_path / "p.csv", "--backbone", "toy:net")
    status, _, err = command(capsys, "predict", images, *options)
    assert status == 0, err
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == [f"CUB_200_2011/{path}" for path, _, _ in expected]


def test_bad_names_and_missing_files_end_in_a_status(tmp_path, capsys):
    options = ("--backbone", "toy:net", "--taps", "stage1", "--out", tmp_path / "s.zarr")
    status, _, err = command(capsys, "extract", f"cub20:{tmp_path}", *options)
    assert (status, "did you mean 'cub200'?" in err) == (2, True)
    status, _, err = command(capsys, "extract", f"cub200:{tmp_path}", *options)
    assert (status, f"unpack CUB_200_2011.tgz into {tmp_path}" in err) == (1, True)


@EVERY
def test_every_dataset_has_a_readme_with_archives_checksums_and_the_command(name):
    lines = (REPOSITORY / "data" / name / "README.md").read_text().splitlines()
    assert BUILTIN[name].title in lines[0]
    for archive in BUILTIN[name].archives:
        row = next(line for line in lines if line.startswith(f"| `{archive.name}`"))
        assert re.search(r"\b([0-9a-f]{64}|[0-9a-f]{32})\b", row), row
    assert any(f"udta extract {name}:" in line for line in lines)


@EVERY
def test_the_list_of_datasets_and_the_help_have_every_name(name, capsys):
    row = f"| [`{name}`](../data/{name}/README.md) | {BUILTIN[name].title}"
    assert row in (REPOSITORY / "docs" / "datasets.md").read_text()
    assert name in command(capsys, "extract", "--help")[1].split("Options:")[0]


def test_the_split_file_of_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LAYOUTS["aircraft"](tmp_path / "planes")
    code = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "datasets.md").read_text(), re.DOTALL)[1]
    exec(code.replace("aircraft:/data", "aircraft:planes"), {})
    manifest = read_images("aircraft:planes", splits=Path("trainval.csv"))
    assert manifest.splits == ("train",) * 5 + ("test",)
