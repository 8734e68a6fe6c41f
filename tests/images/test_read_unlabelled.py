"""Images to predict, named one by one, in lists, or in folders below folders."""

import os
from pathlib import Path

import pytest

from udta.errors import ConfigError, DataError
from udta.images import read_unlabelled


@pytest.fixture
def images(tmp_path, monkeypatch):
    for name in ("1.jpg", "a/2.jpg", "a/b/c/3.jpg", "d/4.png", "odd"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff" + name.encode())
    (tmp_path / "images" / "notes.txt").write_text("images/1.jpg\nimages/a/2.jpg\n")
    monkeypatch.chdir(tmp_path)
    return Path("images")


def ids(images, **options):
    manifest = read_unlabelled(images, **options)
    assert manifest.classes == ()
    assert set(manifest.splits) == {"unlabelled"}
    assert all((manifest.root / manifest.ids[row]).exists() for row in range(len(manifest)))
    return manifest.ids


def test_a_folder_of_any_shape(images):
    assert ids(images) == ("1.jpg", "a/2.jpg", "a/b/c/3.jpg", "d/4.png", "odd")
    assert read_unlabelled(images).left_out == {".txt (no image by its content)": 1}


def test_one_image_and_several(images):
    assert ids("images/1.jpg") == ("images/1.jpg",)
    assert ids([images / "odd", str((images / "1.jpg").absolute())]) == (
        "images/odd",
        (images / "1.jpg").absolute().as_posix(),
    )
    assert ids(["images/d/4.png", "images/a", "images/d/4.png"]) == (
        "images/d/4.png",
        "images/a/2.jpg",
        "images/a/b/c/3.jpg",
    )


def test_lists_and_tables(images):
    Path("list.txt").write_text("images/1.jpg\n\nimages/odd\n")
    assert ids("list.txt") == ("images/1.jpg", "images/odd")
    Path("list.csv").write_text("id,path\n7,images/1.jpg\n8,images/1.jpg\n")
    assert ids("list.csv") == ("images/1.jpg",)
    assert ids(["list.csv", "list.txt", "images/d"]) == ("images/1.jpg", "images/odd", "images/d/4.png")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ([], "no image is named"),
        ("nowhere.jpg", r"1 of what was named is not there: nowhere.jpg"),
        (["images/1.jpg", "nowhere", "gone.jpg"], r"2 of what was named is not there: nowhere, gone.jpg"),
        ("images/notes.txt", r"2 of its rows do not exist: images/1.jpg"),
        ("empty", "empty has no images"),
        ("empty.txt", "names no image"),
    ],
)
def test_what_is_not_there_is_named(images, named, message):
    Path("empty").mkdir()
    Path("empty.txt").write_text("\n")
    with pytest.raises(DataError, match=message):
        read_unlabelled(named)


def test_missing_ones_are_skipped_where_that_is_asked_for(images):
    manifest = read_unlabelled(["images/1.jpg", "gone.jpg"], on_error="skip")
    assert manifest.ids == ("images/1.jpg", "gone.jpg")
    assert manifest.hashes[1] == "0" * 64
    os.mkfifo("pipe")
    assert read_unlabelled(["images/1.jpg", "pipe"], on_error="skip").hashes[1] == "0" * 64


def test_a_built_in_dataset_is_named_as_ever(images):
    with pytest.raises(ConfigError, match="no built-in dataset 'pet'"):
        read_unlabelled("pet:images")
