"""Parquet files with the images in them: which column, which ids and classes, and row groups that are read in order."""

import io
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from udta.errors import DataError, ImageError
from udta.images import read_images, read_unlabelled
from udta.images.readers import _parquet_cells as cells

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra parquet")
from pyarrow.parquet import write_table  # noqa: E402


def table(path, columns, **options):
    write_table(pyarrow.table(columns), path, **options)
    return path


def numbered(path, n, **options):
    return table(path, {"image": [b"image %d" % number for number in range(n)]}, **options)


def test_bytes_beside_paths_labels_and_splits(tmp_path):
    columns = {
        "path": ["a/1.jpg", "../2.jpg", "/3.jpg"],
        "image": [b"one", b"two", None],
        "label": [1.0, None, 2.0],
        "split": ["train", None, "test"],
        "thumbnail": [b"", b"", b""],
    }
    manifest = read_images(table(tmp_path / "t.parquet", columns), on_error="skip")
    assert manifest.ids == ("a/1.jpg", "2.jpg", "3.jpg")
    assert (manifest.classes, manifest.labels.tolist()) == (("1", "2"), [0, -1, 1])
    assert manifest.splits == ("train", "unlabelled", "test")
    assert [manifest.sample(row).read() for row in (1, 0)] == [b"two", b"one"]
    with pytest.raises(ImageError, match="has no bytes in"):
        manifest.sample(2).read()
    with pytest.raises(DataError, match=r"1 image\(s\) cannot be used: 3.jpg has no bytes"):
        read_images(tmp_path / "t.parquet")


def test_structs_with_the_names_of_classes_that_datasets_leaves(tmp_path):
    info = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    images = [{"bytes": b"%d" % row, "path": f"{row % 2}.jpg"} for row in range(3)]
    written = pyarrow.table({"image": images, "label": [1, 0, -1]})
    write_table(written.replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "t.parquet")
    manifest = read_images(tmp_path / "t.parquet")
    assert manifest.ids == ("0000000", "0000001", "0000002")  # two are called 0.jpg
    assert manifest.notes[0].startswith("images are called by their rows")
    assert (manifest.classes, manifest.labels.tolist()) == (("cat", "dog"), [1, 0, -1])
    assert read_unlabelled(tmp_path / "t.parquet").ids == manifest.ids


def test_a_table_without_images_is_one_of_paths(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert read_images(table(tmp_path / "t.parquet", {"path": ["a.jpg"], "digest": [b"0123"]})).ids == ("a.jpg",)
    assert read_images(tmp_path / "t.parquet").packed is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"1"], "bytes": [b"2"]}, "has several columns of images: image, bytes; it needs one"),
        ({"image": pyarrow.array([], pyarrow.binary())}, "has no rows"),
        ({"image": [b"1"], "label": ["x"], "split": [""]}, "have a label but no split"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        read_images(table(tmp_path / "t.parquet", columns))


def test_files_that_differ_and_files_that_are_damaged(tmp_path):
    numbered(tmp_path / "a-0.parquet", 3)
    table(tmp_path / "a-1.parquet", {"photo": [b"x"]})
    with pytest.raises(DataError, match=r"in some of its files images are 'image', in others 'photo'"):
        read_images(tmp_path / "a-*.parquet")
    (tmp_path / "a-1.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match=r"a-1.parquet"):
        read_images(tmp_path)
    whole = bytearray((tmp_path / "a-0.parquet").read_bytes())
    whole[4:40] = bytes(36)  # the first page
    (tmp_path / "a-1.parquet").write_bytes(whole)
    with pytest.raises(DataError, match=r"a-1.parquet cannot be read or is damaged"):
        read_images(tmp_path, on_error="skip")


def test_rows_in_any_order_and_from_many_threads(tmp_path):
    numbered(tmp_path / "0.parquet", 300, row_group_size=70)
    numbered(tmp_path / "1.parquet", 40)
    manifest = read_images(tmp_path)
    contents = pickle.loads(pickle.dumps(manifest.contents))
    expected = [b"image %d" % row for row in (*range(300), *range(40))]
    for rows in (range(340), range(339, -1, -25), [0, 0, 339, 5, 299, 300]):
        assert [contents.read(row, "x") for row in rows] == [expected[row] for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: contents.read(row, "x"), range(340))) == expected


def test_row_groups_are_read_once_and_nothing_piles_up(tmp_path, monkeypatch):
    numbered(tmp_path / "t.parquet", 600, row_group_size=250)
    contents, begun = read_images(tmp_path / "t.parquet").contents, []
    contents = pickle.loads(pickle.dumps(contents))
    read = cells._Cursor._read
    monkeypatch.setattr(cells._Cursor, "_read", lambda self, group: begun.append(group) or read(self, group))
    for row in range(0, 600, 2):  # every other one is somebody else's
        contents.read(row, "x")
        assert len(contents._cursor._passed) <= cells._KEPT + cells._BATCH
    assert begun == [0, 1, 2]


def test_a_row_group_is_not_read_at_once(tmp_path, monkeypatch):
    columns = {"image": [bytes([n]) + os.urandom(100_000) for n in range(60)]}
    table(tmp_path / "t.parquet", columns, write_batch_size=4)  # a page is read at once, and has at least so many rows
    contents, sizes = read_images(tmp_path / "t.parquet").contents, []

    class Watched(io.FileIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(cells, "opened_regular", Watched)
    assert contents.read(30, "x")[0] == 30
    assert 0 < max(sizes) <= 2 * cells._BUFFER
