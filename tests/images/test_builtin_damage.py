"""Built-in datasets of which files are missing or damaged."""

import re
import shutil
import sys

import pytest
from builtin_layouts import LAYOUTS, found, mat, text

from udta.errors import ConfigError, DataError
from udta.images import read_images
from udta.images.builtin import BUILTIN

EVERY = pytest.mark.parametrize("name", sorted(BUILTIN))


@EVERY
def test_a_folder_that_is_not_there(tmp_path, name):
    with pytest.raises(DataError, match=f"there is no folder {tmp_path}/none; make it and get ") as caught:
        read_images(f"{name}:{tmp_path}/none")
    assert all(archive.name in str(caught.value) for archive in BUILTIN[name].archives)


@EVERY
def test_every_missing_file_is_named_with_its_archive_and_where_to_unpack_it(tmp_path, name):
    builtin = BUILTIN[name]
    for inside in ("", builtin.folder):
        for archive in builtin.archives:
            for missing in archive.holds:
                base = tmp_path / inside
                LAYOUTS[name](base)
                shutil.rmtree(base / missing) if (base / missing).is_dir() else (base / missing).unlink()
                with pytest.raises(DataError) as caught:
                    read_images(f"{name}:{tmp_path}")
                line = str(caught.value).split("\n", maxsplit=1)[1]
                assert archive.name in line
                assert missing in line
                assert f"into {tmp_path if builtin.folder_is_packed else base}" in line
                shutil.rmtree(tmp_path)


@EVERY
def test_an_empty_folder(tmp_path, name):
    """It is where to unpack, unless it is called as the archive's own folder: then its parent is."""
    with pytest.raises(DataError) as caught:
        read_images(f"{name}:{tmp_path}")
    for archive in BUILTIN[name].archives:
        assert re.search(rf"(unpack|put) {archive.name} into {tmp_path}\b", str(caught.value))
    if BUILTIN[name].folder_is_packed:
        root = tmp_path / BUILTIN[name].folder
        root.mkdir()
        with pytest.raises(DataError, match=f"into {tmp_path}:"):
            read_images(f"{name}:{root}")


@EVERY
def test_images_that_are_listed_but_not_there(tmp_path, name):
    expected = LAYOUTS[name](tmp_path)
    (tmp_path / expected[0][0]).unlink()
    message = rf"1 of the {len(expected)} images of .* are missing: {expected[0][0]}; unpack "
    with pytest.raises(DataError, match=message) as caught:
        read_images(f"{name}:{tmp_path}")
    assert str(caught.value).endswith(f"unpack {BUILTIN[name].archives[0].name} again")


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("cub200", lambda base: text(base / "image_class_labels.txt", "1 1", "2"), "line '2' without a value"),
        ("cub200", lambda base: text(base / "image_class_labels.txt", "1 1"), "do not list the same images"),
        ("cub200", lambda base: text(base / "classes.txt", "1 001.Gull"), r"KeyError\('2'\)"),
        ("food101", lambda base: [text(base / f"meta/{split}.txt") for split in ("train", "test")], "list no images"),
        ("food101", lambda base: (base / "meta/train.txt").write_bytes(b"\xff\xfe\x00"), "UnicodeDecodeError"),
        ("flowers102", lambda base: mat(base / "setid.mat", trnid=[[1]], valid=[[2]]), r"KeyError\('tstid'\)"),
        ("flowers102", lambda base: mat(base / "imagelabels.mat", labels=[[0] * 9]), r"KeyError\(0\)"),
        ("flowers102", lambda base: (base / "setid.mat").write_bytes(b"<html>404</html>" * 20), "no MATLAB file"),
        ("flowers102", lambda base: (base / "setid.mat").write_bytes(b""), "no MATLAB file"),
        (
            "cars",
            lambda base: mat(base / "devkit/cars_train_annos.mat", annotations=[[1, 2]]),
            "annotations of Stanford Cars",
        ),
        ("dogs", lambda base: mat(base / "test_list.mat", other=[[1]]), r"KeyError\('file_list'\)"),
    ],
)
def test_annotations_that_are_damaged(tmp_path, name, spoil, message):
    LAYOUTS[name](tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        read_images(f"{name}:{tmp_path}")


def test_a_list_cut_anywhere_never_gives_fewer_images(tmp_path):
    """What follows `file_list` in the file is not read, so that losing it does no harm."""
    expected = LAYOUTS["dogs"](tmp_path)
    whole = (tmp_path / "train_list.mat").read_bytes()
    refused = 0
    for length in range(0, len(whole), len(whole) // 20):
        (tmp_path / "train_list.mat").write_bytes(whole[:length])
        try:
            assert found(read_images(f"dogs:{tmp_path}")) == expected
        except DataError:
            refused += 1
    assert refused >= 5


def test_scipy_is_not_installed(tmp_path, monkeypatch):
    LAYOUTS["dogs"](tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ConfigError, match=r"train_list\.mat needs scipy: pip install 'udta\[repro\]'"):
        read_images(f"dogs:{tmp_path}")
