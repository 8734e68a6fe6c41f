import hashlib
from collections import Counter
from pathlib import Path

import pytest
from toy import put

from udta.errors import DataError
from udta.images import read_images


def table(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_per_class(tmp_path):
    put(tmp_path, "dog/2.PNG", "dog/10.jpg", "cat/deep/er/3.jpeg", "cat/a.webp", "cat/notes.txt", "cat/.hidden.jpg")
    put(tmp_path, ".git/x.jpg", "README.md")
    manifest = read_images(str(tmp_path))
    assert manifest.root == tmp_path
    assert manifest.classes == ("cat", "dog")
    assert manifest.ids == ("cat/a.webp", "cat/deep/er/3.jpeg", "dog/10.jpg", "dog/2.PNG")
    assert manifest.labels.tolist() == [0, 0, 1, 1]
    assert manifest.hashes[2] == hashlib.sha256(b"content of dog/10.jpg").hexdigest()
    assert manifest.split_rule == "stratified 70/30 seed 0, equal files together"
    assert manifest.left_out == {
        ".git/ (hidden or of the system)": 1,
        ".jpg (hidden or of the system)": 1,
        ".md (no image by its content)": 1,
        ".txt (no image by its content)": 1,
    }


def test_many_files_keep_their_hashes(tmp_path):
    put(tmp_path, *(f"c/{number:04}.jpg" for number in range(200)))
    manifest = read_images(tmp_path)
    assert manifest.hashes == tuple(hashlib.sha256(f"content of {name}".encode()).hexdigest() for name in manifest.ids)


def test_a_flat_folder_has_no_labels(tmp_path):
    manifest = read_images(put(tmp_path, "b.jpg", "a.png", "notes/readme.txt"))
    assert manifest.ids == ("a.png", "b.jpg")
    assert manifest.classes == ()
    assert manifest.labels.tolist() == [-1, -1]
    assert set(manifest.splits) == {"unlabelled"}
    assert manifest.split_rule == "unlabelled"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["cat/1.jpg", "dog/notes.txt", "emu/.x.jpg"], r"2 class folder\(s\) without any image: dog, emu"),
        (["notes.txt"], "has no images"),
        (["cat/1.jpg", "stray.jpg"], r"images beside its class folders \(stray\.jpg\)"),
    ],
)
def test_folders_that_are_ambiguous_or_empty(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        read_images(put(tmp_path, *files))


def test_there_is_no_such_folder():
    with pytest.raises(DataError, match=r"there is no folder or file 'nowhere'; give a folder .* or name:folder"):
        read_images("nowhere")


def test_another_kind_of_file(tmp_path):
    with pytest.raises(DataError, match=r"neither a folder nor a \.csv or \.parquet file"):
        read_images(put(tmp_path, "a.jpg") / "a.jpg")


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "elsewhere", "1.jpg")
    put(tmp_path / "images", "cat/0.jpg")
    (tmp_path / "images/cat/more").symlink_to(tmp_path / "elsewhere")
    assert read_images(tmp_path / "images").ids == ("cat/0.jpg", "cat/more/1.jpg")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "images/cat")
    with pytest.raises(DataError, match="links back to a folder that it is in"):
        read_images(tmp_path / "images")


def test_files_that_cannot_be_read_are_listed(tmp_path):
    put(tmp_path, "cat/0.jpg")
    for number in range(7):
        (tmp_path / f"cat/broken{number}.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"7 image\(s\) cannot be used: cat/broken0.jpg is a link to .* and 2 more"):
        read_images(tmp_path)


def test_a_csv_keeps_its_order(tmp_path):
    put(tmp_path, "b.jpg", "sub/a.jpg", "c.jpg")
    path = table(tmp_path / "d.csv", "\ufeffpath,label,extra\n./b.jpg,dog,1\nsub/../sub/a.jpg,cat,2\n\nc.jpg,,3\n")
    manifest = read_images(path)
    assert manifest.root == tmp_path
    assert manifest.ids == ("b.jpg", "sub/a.jpg", "c.jpg")
    assert manifest.labels.tolist() == [1, 0, -1]
    assert manifest.splits == ("train", "train", "unlabelled")


def test_absolute_paths_become_relative(tmp_path):
    put(tmp_path, "images/a.jpg")
    path = table(tmp_path / "lists/d.csv", f"path,label\n{tmp_path / 'images/a.jpg'},x\n")
    manifest = read_images(path)
    assert manifest.ids == ("../images/a.jpg",)
    assert (manifest.root / manifest.ids[0]).is_file()


def test_relative_arguments(tmp_path, monkeypatch):
    put(tmp_path, "a.jpg")
    table(tmp_path / "d.csv", "path,label\na.jpg,x\n")
    monkeypatch.chdir(tmp_path)
    manifest = read_images("d.csv")
    assert (manifest.root, manifest.ids) == (Path(), ("a.jpg",))


def test_a_split_column(tmp_path):
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    path = table(tmp_path / "d.csv", "path,label,split\na.jpg,x,val\nb.jpg,y,train\nc.jpg,,\n")
    manifest = read_images(path)
    assert manifest.splits == ("val", "train", "unlabelled")
    assert manifest.split_rule == "column"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,lable\na.jpg,x\n", "no column 'label': did you mean 'lable'"),
        ("file,lable\na.jpg,x\n", "no column 'path': .*\n.*no column 'label'"),
        ("path,label,Splits\na.jpg,x,train\n", "no column 'split': did you mean 'Splits'"),
        ("path,label,split\na.jpg,x,\n", "1 of its rows have a label but no split: row 1"),
        ("path,label\n", "has no rows"),
        ("", "no column 'path'"),
        ("path,label\na.jpg\n", "do not have 2 values as the header has: line 2"),
        ("path,label\n,x\n", "have no path: row 1"),
        ("path,label\na.txt,x\n", "are no images .*: a.txt \\(no image by its content"),
        ("path,label\na.jpg,x\n./a.jpg,y\n", "more than once: a.jpg"),
        ('path,label\n"a.jpg,x\n', "no CSV file in UTF-8"),
        ("path,label\n" + "".join(f"{n}.jpg,x\n" for n in range(8)), "8 of its rows do not exist: 0.jpg.* and 3 more"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    put(tmp_path, "a.jpg", "a.txt")
    with pytest.raises(DataError, match=message):
        read_images(table(tmp_path / "d.csv", text))


def test_a_csv_of_another_encoding(tmp_path):
    (tmp_path / "d.csv").write_bytes("path,label\né.jpg,x\n".encode("latin-1"))
    with pytest.raises(DataError, match="no CSV file in UTF-8"):
        read_images(tmp_path / "d.csv")


def test_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    put(tmp_path, "a.jpg", "b.jpg")
    parquet.write_table(pyarrow.table({"path": ["b.jpg", "a.jpg"], "label": [7, None]}), tmp_path / "d.parquet")
    manifest = read_images(tmp_path / "d.parquet")
    assert (manifest.ids, manifest.classes) == (("b.jpg", "a.jpg"), ("7",))
    assert manifest.labels.tolist() == [0, -1]
    (tmp_path / "e.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="no Parquet file"):
        read_images(tmp_path / "e.parquet")


def test_a_splits_file(tmp_path):
    images = put(tmp_path / "images", "cat/1.jpg", "cat/2.jpg", "dog/1.jpg")
    splits = table(tmp_path / "s.csv", "path,split\ndog/1.jpg,test\ncat/2.jpg,val\n./cat/1.jpg,train\n")
    manifest = read_images(images, splits=splits)
    assert manifest.splits == ("train", "val", "test")
    assert manifest.split_rule == "file"


def test_a_splits_file_that_does_not_fit(tmp_path):
    images = put(tmp_path / "images", *(f"cat/{n}.jpg" for n in range(9)))
    splits = table(tmp_path / "s.csv", "path,split\ncat/0.jpg,test\ncat/0.jpg,train\ncat/x.jpg,test\ncat/1.jpg,\n")
    with pytest.raises(DataError) as caught:
        read_images(images, splits=splits)
    lines = str(caught.value).split("\n")
    expected = [
        "1 path(s) are not among",
        "7 image(s) are missing",
        "1 image(s) have an empty split",
        "1 of its rows repeat",
    ]
    for line, part in zip(lines, expected, strict=True):
        assert part in line
    assert lines[1].endswith("cat/2.jpg, cat/3.jpg, cat/4.jpg, cat/5.jpg, cat/6.jpg and 2 more")


def test_the_stratified_rule(tmp_path):
    for name, count in {"one": 1, "two": 2, "three": 3, "ten": 10, "hundred": 100}.items():
        put(tmp_path, *(f"{name}/{number:03}.jpg" for number in range(count)))
    manifest = read_images(tmp_path)
    counts = Counter((name.split("/")[0], split) for name, split in zip(manifest.ids, manifest.splits, strict=True))
    assert counts == {
        ("one", "train"): 1,
        ("two", "train"): 1,
        ("two", "test"): 1,
        ("three", "train"): 2,
        ("three", "test"): 1,
        ("ten", "train"): 7,
        ("ten", "test"): 3,
        ("hundred", "train"): 70,
        ("hundred", "test"): 30,
    }
    assert read_images(tmp_path).splits == manifest.splits
    other = read_images(tmp_path, seed=1)
    assert other.splits != manifest.splits
    assert other.split_rule == "stratified 70/30 seed 1, equal files together"


def test_the_rule_does_not_depend_on_other_classes(tmp_path):
    put(tmp_path, *(f"b/{number}.jpg" for number in range(20)))
    before = read_images(tmp_path).splits
    put(tmp_path, "a/1.jpg", "a/2.jpg")
    assert read_images(tmp_path).splits[2:] == before
