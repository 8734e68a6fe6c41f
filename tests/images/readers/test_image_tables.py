"""Tables that other systems and programs wrote."""

import unicodedata

import pytest
from toy import put

from udta.errors import DataError
from udta.images import read_images

NFC, NFD = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("stored", "written"), [(NFC, NFD), (NFD, NFC)])
def test_paths_as_windows_and_macos_write_them_are_found(tmp_path, stored, written):
    put(tmp_path, f"caf{stored}/1.jpg", "b.jpg")
    (tmp_path / "d.csv").write_text(f"path,label\n.\\caf{written}\\1.jpg,x\nb.jpg,y\n", "utf-8")
    (tmp_path / "s.csv").write_text(f"path,split\nb.jpg,train\ncaf{written}\\1.jpg,test\n", "utf-8")
    manifest = read_images(tmp_path / "d.csv", splits=tmp_path / "s.csv")
    assert manifest.ids == (f"caf{stored}/1.jpg", "b.jpg")
    assert manifest.splits == ("test", "train")


def test_a_name_with_a_backslash_is_itself_where_it_is_there(tmp_path):
    put(tmp_path, "a\\1.jpg", "a/1.jpg")
    (tmp_path / "d.csv").write_text("path,label\na\\1.jpg,x\n")
    assert read_images(tmp_path / "d.csv").ids == ("a\\1.jpg",)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("C:\\photos\\1.jpg", "; these are paths of another computer"),
        ("a/IMG_1.JPG", "; there is img_1.jpg: capital letters count"),
        ("a/2.jpg", "; paths are relative to "),
        ("b/2.jpg", "; paths are relative to "),
    ],
)
def test_why_a_path_is_not_there(tmp_path, path, cause):
    put(tmp_path, "a/img_1.jpg")
    (tmp_path / "d.csv").write_text(f"path,label\n{path},x\n")
    with pytest.raises(DataError) as caught:
        read_images(tmp_path / "d.csv")
    assert f"do not exist: {path}{cause}" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("1.0", "10.0", "2.0", ""), ("1", "2", "10")),  # as pandas writes [1, 10, 2, None]
        (("1.0", "10.0", "2.0", "3.0"), ("1.0", "10.0", "2.0", "3.0")),  # perhaps versions
        (("1.0", "1.5", "2.0", ""), ("1.0", "1.5", "2.0")),
        (("10", "9", "", "-1"), ("-1", "9", "10")),
    ],
)
def test_whole_numbers_beside_a_missing_one(tmp_path, labels, classes):
    put(tmp_path, *(f"{number}.jpg" for number in range(4)))
    rows = "".join(f"{number}.jpg,{label}\n" for number, label in enumerate(labels))
    (tmp_path / "d.csv").write_text("path,label\n" + rows)
    assert read_images(tmp_path / "d.csv").classes == classes


@pytest.mark.parametrize(
    ("labels", "classes"), [([1.0, float("nan"), 10.0], ("1", "10")), ([1.5, None, 2.0], ("1.5", "2.0"))]
)
def test_whole_numbers_of_a_parquet_file(tmp_path, labels, classes):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    put(tmp_path, *(f"{number}.jpg" for number in range(3)))
    columns = {"path": [f"{number}.jpg" for number in range(3)], "label": labels}
    parquet.write_table(pyarrow.table(columns), tmp_path / "d.parquet")
    manifest = read_images(tmp_path / "d.parquet")
    assert manifest.classes == classes
    assert manifest.labels.tolist() == [0, -1, 1]


def test_an_image_of_a_table_is_one_by_its_content(tmp_path):
    put(tmp_path, "notes")
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "d.csv").write_text("path,label\nphoto,x\n")
    assert read_images(tmp_path / "d.csv").ids == ("photo",)
    (tmp_path / "d.csv").write_text("path,label\nphoto,x\nnotes,x\n")
    with pytest.raises(DataError, match=r"1 of its rows are no images .*: notes \(no image by its content\)"):
        read_images(tmp_path / "d.csv")
