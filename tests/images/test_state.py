"""`images_state` is another whenever images may have changed, and the same when nothing has."""

import os
import shutil
from pathlib import Path

import pytest
from toy import put

from udta.errors import DataError
from udta.images import images_state

NAMES = ("cat/a.jpg", "cat/b.jpg", "dog/c.jpg")


def older(path):
    os.utime(path, ns=(0, 0))


CHANGES = {
    "new": lambda root: put(root, "dog/d.jpg"),
    "gone": lambda root: (root / "cat" / "a.jpg").unlink(),
    "moved": lambda root: (root / "cat" / "a.jpg").rename(root / "dog" / "a.jpg"),
    "larger": lambda root: (root / "cat" / "a.jpg").write_bytes(b"much more of it, at another time"),
    "written to": lambda root: older(root / "cat" / "a.jpg"),
}


def test_a_folder(tmp_path):
    for change, make in CHANGES.items():
        root = put(tmp_path / change, *NAMES)
        before = images_state(str(root))
        assert before.n == 3
        assert images_state(str(root)) == before
        make(root)
        assert images_state(str(root)).digest != before.digest, change


def test_a_table_and_files_that_lie_anywhere(tmp_path):
    put(tmp_path / "far", *NAMES)
    table = tmp_path / "t.csv"
    table.write_text("path,label\n" + "".join(f"far/{name},{name[:3]}\n" for name in NAMES))
    before = images_state(str(table))
    older(tmp_path / "far" / "dog" / "c.jpg")
    assert images_state(str(table)).digest != before.digest
    before = images_state(str(table))
    table.write_text(table.read_text().replace("c.jpg,dog", "c.jpg,cat"))
    assert images_state(str(table)).digest != before.digest


def test_archives_by_their_files_and_a_name_of_a_hub_by_itself(tmp_path):
    shards = tmp_path / "shards"
    put(shards, "s-0.tar", "s-1.tar")
    for named in (shards, shards / "s-{0..1}.tar"):
        before = images_state(str(named))
        assert before.n == 2
        older(shards / "s-1.tar")
        assert images_state(str(named)).digest != before.digest
        shutil.copy(shards / "s-0.tar", shards / "s-1.tar")
    assert images_state("hf-dataset:org/name").n == 0


def test_what_is_not_there_is_said_as_by_whoever_reads_it(tmp_path):
    with pytest.raises(DataError, match="there is no folder or file"):
        images_state(str(Path(tmp_path) / "absent"))
