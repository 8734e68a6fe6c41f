"""An image that cannot be read is a bad image like any other: named with its reason, skipped where that is asked for."""

import errno
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from toy import photographs

import udta
from udta.errors import DataError, ImageError
from udta.fingerprint import UNREADABLE
from udta.images import _image_file as files
from udta.images import read_images


def refuse(monkeypatch, name, number):
    """Opening files of this name fails with an error, as root too."""
    found = os.open

    def opened(path, *arguments, **keywords):
        if Path(path).name == name:
            raise OSError(number, os.strerror(number), os.fspath(path))
        return found(path, *arguments, **keywords)

    monkeypatch.setattr(files.os, "open", opened)


@pytest.fixture
def bad(tmp_path, monkeypatch):
    """Photographs among which five files cannot be read, each for its own reason."""
    root = photographs(tmp_path / "photos")
    for number in range(5):
        (root / "cat" / f"00{number}.png").unlink()
    (root / "cat" / "005.png").rename(root / "cat" / "locked.png")
    (root / "cat" / "000.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(root / "cat" / "001.png")
    (root / "cat" / "002.png").symlink_to("/dev/zero")
    (root / "cat" / "003.png").symlink_to("003.png")
    with socket.socket(socket.AF_UNIX) as bound:
        monkeypatch.chdir(root / "cat")
        bound.bind("004.png")
    refuse(monkeypatch, "locked.png", errno.EACCES)
    return root


REASONS = {
    "cat/000.png": "is a link to something that is not there",
    "cat/001.png": "is a FIFO, not a regular file",
    "cat/002.png": "is a device, not a regular file",
    "cat/003.png": "cannot be read (Too many levels of symbolic links)",
    "cat/004.png": "is a socket or a device, not a regular file",
    "cat/locked.png": "cannot be read (Permission denied)",
}


def test_all_of_them_are_named_with_their_reasons(bad):
    with pytest.raises(DataError) as caught:
        read_images(bad)
    assert "6 image(s) cannot be used: " in str(caught.value)
    for name, reason in list(REASONS.items())[:5]:
        assert f"{name} {reason}" in str(caught.value)
    for name, reason in REASONS.items():
        with pytest.raises(ImageError) as one:
            files.read_image_file(bad / name, name)
        assert (one.value.path, one.value.reason) == (name, reason)


def test_they_are_skipped_with_their_reasons_and_computed_when_they_are_there(bad, tmp_path, monkeypatch):
    options = {"backbone": "toy:net", "taps": "stage2=avg", "out": tmp_path / "s.zarr", "on_error": "skip"}
    report = udta.extract(bad, **options)
    assert report.skipped == REASONS
    assert report.rows == 24
    monkeypatch.undo()
    (bad / "cat" / "000.png").unlink()
    (bad / "cat" / "000.png").write_bytes((bad / "cat" / "007.png").read_bytes() + b"another")
    report = udta.extract(bad, **options)
    assert report.skipped == {
        name: reason for name, reason in REASONS.items() if name not in ("cat/000.png", "cat/locked.png")
    }
    assert report.computed_rows <= 24
    assert np.isfinite(udta.open_store(tmp_path / "s.zarr").read([8, 13])["stage2"]).all()


def test_an_image_that_vanishes_after_it_was_listed_is_skipped(tmp_path, monkeypatch):
    root = photographs(tmp_path / "photos", per_class=2)
    manifest = read_images(root)
    (manifest.root / manifest.ids[3]).unlink()
    report = udta.extract(manifest, backbone="toy:net", taps="stage2=avg", out=tmp_path / "s", on_error="skip")
    assert report.skipped == {"cat/001.png": "cannot be read (No such file or directory)"}


def test_an_image_that_vanishes_while_images_are_listed_is_skipped(tmp_path, monkeypatch):
    root = photographs(tmp_path / "photos", per_class=2)
    refuse(monkeypatch, "001.png", errno.ENOENT)  # it is in its folder's list, and not there when it is hashed
    manifest = read_images(root, on_error="skip")
    assert [one == UNREADABLE for one in manifest.hashes] == [False, True] * 3
    monkeypatch.undo()
    with pytest.raises(ImageError, match="could not be read when the images were listed, but now"):
        manifest.sample(1).read()
    refuse(monkeypatch, "000.png", errno.EIO)
    refuse(monkeypatch, "001.png", errno.EIO)
    with pytest.raises(
        DataError, match=r"6 image\(s\) cannot be used: bird/000.png cannot be read \(Input/output error\)"
    ):
        read_images(root, on_error="skip")  # all of them: this is no bad image


def test_a_table_that_names_missing_files_skips_them(tmp_path):
    root = photographs(tmp_path / "photos", per_class=1)
    table = root / "d.csv"
    table.write_text("path,label\ncat/000.png,a\ngone/1.png,b\ndog/000.png,b\n")
    with pytest.raises(DataError, match=r"1 of its rows do not exist: gone/1.png"):
        read_images(table)
    manifest = read_images(table, on_error="skip")
    assert manifest.ids == ("cat/000.png", "gone/1.png", "dog/000.png")
    assert manifest.hashes[1] == UNREADABLE
    table.write_text("path,label\ngone/1.png,b\n")
    with pytest.raises(DataError, match=r"1 of its rows do not exist"):
        read_images(table, on_error="skip")


@pytest.mark.parametrize("name", ["cat/\udcff.png", "\udcff/1.png", "\udcff.png"])
def test_names_that_are_not_utf8_are_refused_in_words(tmp_path, name):
    root = photographs(tmp_path / "photos", per_class=2) if "/" in name else tmp_path
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"content")
    with pytest.raises(DataError, match=r"rename these, their names are not UTF-8: '.*\\udcff") as caught:
        read_images(root)
    str(caught.value).encode()


def test_a_folder_that_is_not_utf8_and_what_is_left_out_of_it(tmp_path):
    root = photographs(tmp_path / "photos\udcff", per_class=2)
    (root / "cat" / "\udcfe.txt").write_text("no image")
    (root / "cat" / "\udcfe").write_text("no image")
    report = udta.extract(root, backbone="toy:net", taps="stage2=avg", out=tmp_path / "s")
    assert sum(report.left_out.values()) == 2
    assert json.loads((tmp_path / "s.report.json").read_text())["runs"][0]["left_out"] == dict(report.left_out)
    "\n".join(read_images(root).summary()).encode()
    assert udta.open_store(tmp_path / "s").ids[0] == "bird/000.png"
