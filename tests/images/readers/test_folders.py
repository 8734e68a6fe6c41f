"""What folders of images mean: classes, a split with classes below, and folders that are neither."""

import numpy as np
import pytest
from toy import photographs, put

import udta
from udta.errors import DataError
from udta.images import read_images


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "TEST"), ("train", "validation", "testing")]
)
def test_folders_of_a_split_are_the_split(tmp_path, names):
    train, val, test = names
    put(
        tmp_path,
        f"{train}/dog/1.jpg",
        f"{train}/cat/deep/2.jpg",
        f"{val}/cat/1.jpg",
        f"{test}/dog/1.jpg",
        ".cache/x.jpg",
    )
    manifest = read_images(tmp_path)
    assert manifest.classes == ("cat", "dog")
    assert manifest.ids == (f"{train}/cat/deep/2.jpg", f"{train}/dog/1.jpg", f"{val}/cat/1.jpg", f"{test}/dog/1.jpg")
    assert manifest.labels.tolist() == [0, 1, 0, 1]
    assert manifest.splits == ("train", "train", "val", "test")
    assert manifest.split_rule == f"folders {train}/{val}/{test}"
    assert manifest.notes == (
        f"the folders {train}/{val}/{test} are taken as the split, the folders in them as the classes",
    )
    assert manifest.summary()[0].endswith("found 4 image(s) of 2 class(es): cat, dog")


def test_two_folders_of_one_split_and_a_test_set_without_classes(tmp_path):
    put(tmp_path, "train/cat/1.jpg", "training/dog/1.jpg", "test/1.jpg")
    manifest = read_images(tmp_path)
    assert manifest.ids == ("train/cat/1.jpg", "training/dog/1.jpg", "test/1.jpg")
    assert manifest.splits == ("train", "train", "unlabelled")
    assert manifest.labels.tolist() == [0, 1, -1]
    assert "no image is in the split 'test', on which adapters are evaluated: --splits" in manifest.notes[1]


def test_a_split_without_a_test_set_says_where_to_evaluate(tmp_path):
    manifest = read_images(put(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg"))
    assert manifest.splits == ("train", "val")
    assert manifest.notes[1].endswith("on which adapters are evaluated: there is val (--test-split)")


def test_a_splits_file_has_the_last_word(tmp_path):
    images = put(tmp_path / "images", "train/cat/1.jpg", "test/cat/2.jpg")
    (tmp_path / "s.csv").write_text("path,split\ntest/cat/2.jpg,train\ntrain/cat/1.jpg,test\n")
    manifest = read_images(images, splits=tmp_path / "s.csv")
    assert (manifest.classes, manifest.splits) == (("cat",), ("test", "train"))


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (("train/1.jpg", "train/2.jpg", "tram/1.jpg"), ("train", "tram")),  # a vehicle
        (("train/express/1.jpg", "train/2.jpg", "tram/1.jpg"), ("train", "tram")),
        (("train/1.jpg", "train/2.jpg", "test/1.jpg"), ("test", "train")),
    ],
)
def test_a_class_may_be_called_train(tmp_path, files, classes):
    manifest = read_images(put(tmp_path, *files))
    assert manifest.classes == classes
    assert [note.endswith("taken as a class, not as a split") for note in manifest.notes] == [True]


def test_stray_images_in_a_split_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"train has images beside its class folders \(train/stray.jpg\)"):
        read_images(put(tmp_path, "train/cat/1.jpg", "train/stray.jpg", "test/cat/1.jpg"))


def test_classes_that_are_numbers_are_in_the_order_of_numbers(tmp_path):
    put(tmp_path, *(f"{name}/1.jpg" for name in ("10", "0", "2", "1", "11")))
    manifest = read_images(tmp_path)
    assert manifest.classes == ("0", "1", "2", "10", "11")
    assert manifest.ids[2:4] == ("2/1.jpg", "10/1.jpg")
    assert manifest.labels.tolist() == [0, 1, 2, 3, 4]
    put(tmp_path, "x1/1.jpg")
    assert read_images(tmp_path).classes == ("0", "1", "10", "11", "2", "x1")


def test_folders_of_systems_are_no_classes(tmp_path):
    put(tmp_path, "cat/1.jpg", "@eaDir/1.jpg", "cat/@eaDir/1.jpg", "__MACOSX/cat/._1.jpg", ".thumbnails/1.jpg")
    put(tmp_path, "cat/._1.jpg", "cat/Thumbs.db", "Thumbs.db", "cat/.DS_Store")
    manifest = read_images(tmp_path)
    assert (manifest.ids, manifest.classes) == (("cat/1.jpg",), ("cat",))
    assert manifest.left_out["@eaDir/ (hidden or of the system)"] == 2
    assert manifest.left_out[".db (hidden or of the system)"] == 2
    assert sum(manifest.left_out.values()) == 8


@pytest.mark.parametrize("engine", ["zarr", "hdf5"])
def test_a_store_among_the_images_is_no_class_and_goes_on(tmp_path, engine):
    photos = photographs(tmp_path / "photos", per_class=4)
    options = {"backbone": "toy:net", "taps": "stage2=avg", "out": photos / "features", "format": engine}
    udta.extract(photos, **options)
    udta.train(photos / "features", out=photos / "run", adapter="ridge")
    report = udta.extract(photos, **options)
    assert report.computed_rows == 0
    assert report.left_out["features/ (written by udta)"] == 1
    assert report.left_out["run/ (written by udta)"] == 1
    assert udta.open_store(photos / "features").classes == ("bird", "cat", "dog")
    photographs(photos / "cat" / "more", per_class=1, classes=("x",), seed=1)
    assert udta.extract(photos, **options).computed_rows == 1
    assert np.isfinite(udta.open_store(photos / "features").read(np.arange(13))["stage2"]).all()
