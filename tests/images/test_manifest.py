import json
from pathlib import Path

import numpy as np
import pytest

from udta.errors import ConfigError, DataError
from udta.images import Manifest, Sample
from udta.images._contents import Files


def make(**changes):
    fields = {
        "root": Path("images"),
        "classes": ("cat", "dog"),
        "ids": ("cat/1.jpg", "cat/2.jpg", "dog/é.jpg", "x.jpg"),
        "labels": np.array([0, 0, 1, -1]),
        "splits": ("train", "test", "train", "unlabelled"),
        "hashes": ("aa", "bb", "cc", "dd"),
        "split_rule": "file",
    }
    return Manifest(**fields | changes)


def test_rows_and_samples():
    manifest = make()
    assert len(manifest) == 4
    assert manifest.sample(2) == Sample(2, "dog/é.jpg", Files(Path("images")), "cc", 1, "train")
    rows = manifest.rows("train")
    assert rows.dtype == np.int64
    assert rows.tolist() == [0, 2]


def test_an_unknown_split_comes_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        make().rows("trian")


def test_load_reads_back_what_save_writes(tmp_path):
    path = tmp_path / "new" / "manifest.json"
    manifest = make()
    manifest.save(path)
    loaded = Manifest.load(path)
    for field in ("root", "classes", "ids", "splits", "hashes", "split_rule"):
        assert getattr(loaded, field) == getattr(manifest, field)
    np.testing.assert_array_equal(loaded.labels, manifest.labels)
    assert loaded.labels.dtype == np.int64
    assert json.loads(path.read_text())["root"] == "images"
    assert [file.name for file in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hashes": ("aa",)}, r"different lengths \[1, 4\]"),
        ({"ids": ("a", "b", "a", "c")}, "1 image name.* more than once: a"),
        ({"classes": ("cat", "cat")}, "1 class name"),
        ({"labels": np.array([0, 0, 2, 1])}, "a label is not in -1 to 1"),
        ({"labels": np.array([0, 0, -2, 1])}, "a label is not in -1 to 1"),
        ({"ids": ("a", "b", "c", "\udcff.jpg")}, r"not UTF-8: '\\udcff\.jpg'"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:50], "it is not JSON"),
        (lambda text: "[]", "is not a manifest"),
        (lambda text: text.replace("udta-manifest", "other"), "is not a manifest"),
        (lambda text: text.replace('"version": 1', '"version": 9'), "of version 9, this udta reads 1"),
        (lambda text: text.replace('"root": "images"', '"root": 3'), "field 'root' is no text"),
        (lambda text: text.replace('"x.jpg"', '"/etc/passwd"'), "name of an image is an absolute path"),
        (lambda text: text.replace('"x.jpg"', "[" * 100_000), "it is not JSON"),
        (lambda text: text.replace('"hashes"', '"hash"'), "field 'hashes' is no list of texts"),
        (lambda text: text.replace("-1", "0.5"), "field 'labels' is no list of whole numbers"),
        (lambda text: text.replace("-1", "1" * 30), "field 'labels' is no list of whole numbers"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message, no_collection):
    path = tmp_path / "manifest.json"
    make().save(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        Manifest.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Manifest.load(tmp_path / "no.json")
