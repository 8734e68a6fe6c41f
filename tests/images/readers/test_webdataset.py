"""WebDataset shards: what is a sample, its class and split, and what damage is said of."""

import io
import json
import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packed import write_tar

from udta.errors import DataError, ImageError
from udta.images import read_images, read_unlabelled


def read_all(manifest):
    return [manifest.sample(row).read() for row in range(len(manifest))]


def open_shards(folder):
    files = [descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()]
    return sorted(file.name for file in files if file.parent == folder.resolve())


def test_samples_classes_and_splits(tmp_path):
    write_tar(
        tmp_path / "a-0.tar",
        [
            ("./cat/1.jpg", b"one"),
            ("./cat/1.cls", b"cat\n"),
            ("dog/2.PNG", b"two"),
            ("dog/2.seg.png", b"a mask"),
            ("dog/2.json", json.dumps({"label": "dog"}).encode()),
            ("3.webp", b"three"),
            ("3.txt", b"a caption"),
            ("._3.webp", b"of macOS"),
        ],
    )
    write_tar(
        tmp_path / "a-1.tar",
        [
            ("3.json", b'{"label": ["x", "y"]}'),
            ("3.webp", b"other"),
            ("4.cls", b"7"),
            ("4.json", b'{"label": 8}'),
            ("4.jpg", b"four"),
        ],
    )
    manifest = read_images(tmp_path)
    assert manifest.ids == ("cat/1.jpg", "dog/2.PNG", "3.webp", "a-1/3.webp", "4.jpg")
    assert manifest.classes == ("7", "cat", "dog")
    assert manifest.labels.tolist() == [1, 2, -1, -1, 0]
    assert read_all(manifest) == [b"one", b"two", b"three", b"other", b"four"]
    assert manifest.left_out == {".txt (no image by its extension)": 1, ".webp (hidden or of the system)": 1}


def test_a_split_in_the_members_is_the_split(tmp_path):
    described = [{"label": 1, "split": "train"}, {"label": 2, "split": "test"}, {}]
    members = [
        (f"{n}.{kind}", content)
        for n, each in enumerate(described)
        for kind, content in (("json", json.dumps(each).encode()), ("jpg", b"%d" % n))
    ]
    manifest = read_images(write_tar(tmp_path / "a.tar", members))
    assert (manifest.splits, manifest.split_rule) == (("train", "test", "unlabelled"), "column")


def test_names_of_shards(tmp_path, monkeypatch):
    for number in (8, 9, 10, 11):
        write_tar(tmp_path / f"s-{number:03d}.tar", [(f"{number}.jpg", b"%d" % number)])
    monkeypatch.chdir(tmp_path)
    ids = ("8.jpg", "9.jpg", "10.jpg", "11.jpg")
    for named in ("s-{008..011}.tar", "s-*.tar", ".", str(tmp_path), "./s-0{08..11}.tar"):
        assert read_images(named).ids == ids
    assert read_images("s-{009..010}.tar").ids == ids[1:3]
    assert read_unlabelled(["s-008.tar", "s-009.tar"]).ids == ("s-008.tar/8.jpg", "s-009.tar/9.jpg")
    assert read_images("s-*.tar").contents.source == str(tmp_path / "s-*.tar")
    with pytest.raises(DataError, match=r"2 of its files are not there: s-012.tar, s-013.tar"):
        read_images("s-{010..013}.tar")
    with pytest.raises(DataError, match=r"1 of its files are not there: t-\*.tar"):
        read_images("t-*.tar")
    with pytest.raises(DataError, match="stands for more than 1,000,000 files"):
        read_images("s-008.tar{0..9999999999}.tar")
    with pytest.raises(DataError, match=r"no folder or file 's.tar'; give a folder or .* or WebDataset shards"):
        read_images("s.tar")


def test_a_folder_with_images_or_folders_holds_no_shards(tmp_path):
    write_tar(tmp_path / "x.tar", [("1.jpg", b"packed")])
    (tmp_path / "2.jpg").write_bytes(b"\xff\xd8\xff")
    assert read_images(tmp_path).ids == ("2.jpg",)
    (tmp_path / "cat").mkdir()
    (tmp_path / "2.jpg").rename(tmp_path / "cat" / "2.jpg")
    assert read_images(tmp_path).ids == ("cat/2.jpg",)


def test_absurd_names_are_data(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    names = ["../secret.jpg", "/etc/passwd.jpg", "a/../../b.jpg", "x\x1b[2J.jpg", "a\\b.jpg", "n" * 300 + ".jpg"]
    path = write_tar(tmp_path / "a.tar", [(name, name.encode()) for name in names], format=tarfile.PAX_FORMAT)
    manifest = read_images(path)
    assert manifest.ids == ("secret.jpg", "etc/passwd.jpg", "a/b.jpg", *names[3:])
    assert read_all(manifest) == [name.encode() for name in names]
    write_tar(path, [("../a.jpg", b"1"), ("/a.jpg", b"2")])
    with pytest.raises(DataError, match=r"has two members 'a.jpg'"):
        read_images(path)


def test_links_and_folders_in_an_archive_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE), ("f.jpg", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("1.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"one"))
    assert read_images(tmp_path / "a.tar").ids == ("1.jpg",)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.txt", b"")], "has no images"),
        ([("1.jpg", b""), ("1.png", b"")], r"its sample '1' has more than one image, '1.jpg' and '1.png'"),
        ([("1.a.jpg", b""), ("1.b.jpg", b"")], "more than one image"),
        ([("1.jpg", b""), ("1.json", b"{")], "its member '1.json' is no JSON"),
        ([("1.jpg", b""), ("1.json", b"[" * 100_000)], "its member '1.json' is no JSON"),
        ([("1.jpg", b""), ("1.cls", b"\xff")], "its member '1.cls' is no text in UTF-8"),
        ([("1.jpg", b""), ("1.cls", bytes(2**20 + 1))], "1,048,577 bytes, which is no label"),
    ],
)
def test_samples_that_cannot_be_used(tmp_path, members, message, no_collection):
    with pytest.raises(DataError, match=message):
        read_images(write_tar(tmp_path / "a.tar", members))


def test_every_way_to_cut_an_archive_off_is_told(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("1.jpg", b"x" * 600), ("2.jpg", b"y" * 10)])
    whole = path.read_bytes()
    for length in range(0, 3072, 256):  # two headers, two blocks, one block
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"damaged|cut off"):
            read_images(path)
    path.write_bytes(whole[:3072] + bytes(512))  # one block of zeros of the two that are usual
    assert len(read_images(path)) == 2


def test_a_damaged_header_is_not_the_end(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("1.jpg", b"x"), ("2.jpg", b"y"), ("3.jpg", b"z")])
    whole = bytearray(path.read_bytes())
    whole[1024 + 3] ^= 1  # in the second name, so that the checksum is wrong
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"has a damaged header \(byte 1,024\)"):
        read_images(path)


def test_what_is_no_archive(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("1.jpg", b"x")])
    with tarfile.open(tmp_path / "b.tar", "w:gz") as archive:
        archive.add(path, "1.jpg")
    os.mkfifo(tmp_path / "c.tar")
    for name, message in (
        ("b.tar", "compressed one has to be uncompressed first"),
        ("c.tar", "cannot be read .not a regular"),
    ):
        with pytest.raises(DataError, match=message):
            read_images(tmp_path / name)


def test_an_archive_that_changes_after_it_was_listed(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("1.jpg", b"one"), ("2.jpg", b"two")])
    manifest = read_images(path)
    write_tar(path, [("1.jpg", b"One"), ("2.jpg", b"two")])
    with pytest.raises(DataError, match=r"1.jpg of .*a.tar changed after the manifest was made"):
        manifest.sample(0).read()
    path.write_bytes(path.read_bytes()[:512])
    with pytest.raises(ImageError, match="is shorter than it was"):
        pickle.loads(pickle.dumps(manifest)).sample(1).read()
    path.unlink()
    with pytest.raises(ImageError, match=r"cannot be read \(No such file"):
        pickle.loads(pickle.dumps(manifest)).sample(1).read()


def test_one_file_is_open_for_each_shard_that_is_read(tmp_path):
    for shard in range(12):
        write_tar(tmp_path / f"{shard:02d}.tar", [(f"{shard}-{n}.jpg", b"%d %d" % (shard, n)) for n in range(20)])
    manifest = pickle.loads(pickle.dumps(read_images(tmp_path)))  # without those that are open
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda row: manifest.sample(row).read(), range(60)))
        assert open_shards(tmp_path) == ["00.tar", "01.tar", "02.tar"]
        rest = list(pool.map(lambda row: manifest.sample(row).read(), range(60, 240)))
    assert first + rest == [b"%d %d" % divmod(row, 20) for row in range(240)]
    # Eight stay open, each once; which they are beside the last depends on who of eight threads was late.
    found = open_shards(tmp_path)
    assert len(set(found)) == len(found) == 8
    assert "11.tar" in found


def test_threads_that_read_from_more_shards_than_are_kept_open(tmp_path):
    for shard in range(20):
        write_tar(tmp_path / f"{shard:02d}.tar", [(f"{shard}.jpg", b"%d" % shard)])
    contents = read_images(tmp_path).contents
    rows = [17 * number % 20 for number in range(4000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: contents.read(row, "x"), rows)) == [b"%d" % row for row in rows]


def test_files_are_closed_with_the_manifest(tmp_path):
    manifest = read_images(write_tar(tmp_path / "a.tar", [("1.jpg", b"one")]))
    assert open_shards(tmp_path) == ["a.tar"]
    del manifest
    assert open_shards(tmp_path) == []
