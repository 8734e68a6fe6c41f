"""Datasets of the library `datasets`, saved on the disk: columns by their types, splits, ids, and what is never followed."""

import sys

import pytest

from udta.errors import ConfigError, DataError, ImageError
from udta.images import read_images, read_unlabelled

datasets = pytest.importorskip("datasets", reason="needs the extra datasets")


def dataset(columns, **kinds):
    found = datasets.Dataset.from_dict(columns)
    return found.cast(datasets.Features({**found.features, **kinds}))


def images(*contents, paths=None):
    return [{"bytes": content, "path": paths and paths[row]} for row, content in enumerate(contents)]


def test_splits_classes_and_ids(tmp_path):
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])}
    train = dataset({"image": images(b"1", b"2", paths=["a.jpg", "b.jpg"]), "label": [0, 1]}, **kinds)
    secret = dataset({"image": images(b"3", b"4"), "label": [-1, -1]}, **kinds)
    validation = dataset({"image": images(b"5"), "label": [1]}, **kinds)
    saved = datasets.DatasetDict(train=train, validation=validation, test=secret)
    saved.save_to_disk(tmp_path / "d")
    manifest = read_images(tmp_path / "d")
    assert manifest.ids == ("train/a.jpg", "train/b.jpg", "validation/0000000", "test/0000000", "test/0000001")
    assert manifest.splits == ("train", "train", "val", "unlabelled", "unlabelled")
    assert manifest.split_rule == "splits train/validation/test"
    assert (manifest.classes, manifest.labels.tolist()) == (("cat", "dog"), [1, 0, 0, -1, -1])
    assert [manifest.sample(row).read() for row in range(5)] == [b"1", b"2", b"5", b"3", b"4"]
    assert read_unlabelled(tmp_path / "d").ids == manifest.ids
    assert manifest.contents.source == str(tmp_path / "d")


def test_rows_that_were_chosen_and_columns_of_other_names(tmp_path):
    columns = {"picture": images(b"1", b"2", b"3"), "fine": [0, 1, 0], "coarse": [0, 0, 0]}
    names = datasets.ClassLabel(names=["x", "y"])
    dataset(columns, picture=datasets.Image(), fine=names, coarse=names).select([2, 0]).save_to_disk(tmp_path / "d")
    manifest = read_images(tmp_path / "d")
    assert [manifest.sample(row).read() for row in range(2)] == [b"3", b"1"]
    assert manifest.classes == ()
    assert any("the columns fine, coarse have some, and none is `label`" in note for note in manifest.notes)


def test_a_path_out_of_a_dataset_is_not_followed(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    images = [{"bytes": b"1", "path": None}, {"bytes": None, "path": str(tmp_path / "secret.jpg")}]
    table = datasets.Dataset.from_dict({"image": images})  # a struct: nobody embeds the file
    table.save_to_disk(tmp_path / "d")
    (tmp_path / "d" / "dataset_info.json").write_text('{"features": {"image": {"_type": "Image"}}}')
    with pytest.raises(DataError, match=r"0000001 has no bytes in .*, only the path"):
        read_images(tmp_path / "d")
    with pytest.raises(ImageError, match=r"has no bytes"):
        read_images(tmp_path / "d", on_error="skip").sample(1).read()


@pytest.mark.parametrize(
    ("columns", "kinds", "message"),
    [
        ({"text": ["x"]}, (), "has no column of images: it has the columns text"),
        ({"a": images(b"1"), "b": images(b"1")}, ("a", "b"), "several columns of images, a, b, and none is `image`"),
    ],
)
def test_datasets_that_cannot_be_used(tmp_path, columns, kinds, message):
    dataset(columns, **dict.fromkeys(kinds, datasets.Image())).save_to_disk(tmp_path / "d")
    with pytest.raises(DataError, match=message):
        read_images(tmp_path / "d")


def test_damage_bad_names_and_a_missing_library_are_said(tmp_path, monkeypatch):
    dataset({"image": images(b"1")}, image=datasets.Image()).save_to_disk(tmp_path / "d")
    (tmp_path / "d" / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as a dataset"):
        read_images(tmp_path / "d")
    with pytest.raises(ConfigError, match=r"write hf-dataset:ORG/NAME\[@REVISION\]\[\?config=NAME\]"):
        read_images("hf-dataset:org/name?split=x")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"needs datasets: pip install 'udta\[datasets\]'"):
        read_images("hf-dataset:org/name")
