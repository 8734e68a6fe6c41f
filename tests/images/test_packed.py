"""Images that are no files of their own go the same way as those that are, from the manifest to a store and back."""

import csv
import shutil
import tracemalloc

import numpy as np
import packed
import pytest
from toy import photographs

import udta
from udta.errors import DataError
from udta.images import find_packed, load_manifest, read_images

OPTIONS = {"backbone": "toy:net", "taps": "stage1=grid(2),stage2=avg", "views": 2}
FORMS = ["table", "shards", "parquet", "saved"]


@pytest.fixture(scope="module")
def world(tmp_path_factory, photos):
    """The photographs in every form, and a store made of the folder."""
    folder = tmp_path_factory.mktemp("packed")
    forms = {}
    for form in FORMS:
        (folder / form).mkdir()
        forms[form] = getattr(packed, form)(photos, folder / form)
    udta.extract(photos, out=folder / "folder.zarr", **OPTIONS)
    return folder, forms


def contents(store):
    opened = udta.open_store(store)
    return opened, {tap: values.tobytes() for tap, values in opened.read(range(len(opened))).items()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(world, tmp_path, form):
    folder, forms = world
    udta.extract(forms[form], out=tmp_path / "s.zarr", **OPTIONS)
    expected, bits = contents(folder / "folder.zarr")
    found, same = contents(tmp_path / "s.zarr")
    assert same == bits
    assert found.classes == expected.classes
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert sorted(found.hashes.values()) == sorted(expected.hashes.values())
    if form == "table":  # its ids are relative to the folder that it is in, and lead out of it
        assert udta.recompute(tmp_path / "s.zarr", samples=3, images=folder / form, backbone="toy:net").exact == 1
        return
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.splits.tolist() == expected.splits.tolist()
    # The store knows where they are.
    assert udta.recompute(tmp_path / "s.zarr", samples=3, backbone="toy:net").exact == 1


def test_a_manifest_file_finds_its_images_again(world, tmp_path):
    _, forms = world
    manifest = read_images(forms["shards"])
    manifest.save(tmp_path / "manifest.json")
    loaded = load_manifest(tmp_path / "manifest.json")
    assert [loaded.sample(row).read() for row in (0, 9, 23)] == [manifest.sample(row).read() for row in (0, 9, 23)]
    # In the order that is asked for; what is gone cannot be read.
    found = find_packed(str(forms["shards"]), [manifest.ids[7], "gone.png"])
    assert found.read(0, "first") == manifest.sample(7).read()
    assert "is not in" in found.hashes(range(2), ["first", "second"])[1].reason


def test_a_store_grows_by_a_shard(world, tmp_path):
    _, forms = world
    for path in sorted(forms["shards"].parent.glob("*.tar"))[:2]:
        shutil.copy(path, tmp_path / path.name)
    options = {**OPTIONS, "out": tmp_path / "s.zarr"}
    assert udta.extract(tmp_path / "shard-*.tar", **options).computed_rows == 16
    packed.write_tar(
        tmp_path / "shard-002.tar", [("new.png", read_images(tmp_path / "shard-000.tar").sample(0).read() + b" ")]
    )
    assert udta.extract(tmp_path / "shard-*.tar", **options).computed_rows == 1
    (tmp_path / "shard-001.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"shard-001\.tar is damaged, or no tar archive"):
        udta.extract(tmp_path / "shard-*.tar", **options)


def test_predictions_of_packed_images_and_files_together(world, photos, tmp_path):
    folder, forms = world
    udta.train(folder / "folder.zarr", out=tmp_path / "run", adapter="ridge")
    options = {"adapters": [tmp_path / "run"], "out": tmp_path / "p.csv", "backbone": "toy:net"}

    def predicted(images):
        udta.predict(images, **options)
        with options["out"].open() as file:
            return [(row["path"], row["label"], row["probability"]) for row in csv.DictReader(file)]

    of_files, of_shards = predicted(photos), predicted(forms["shards"])
    assert of_shards == of_files
    shard, photo = forms["shards"].parent / "shard-001.tar", photos / "bird" / "000.png"
    mixed = predicted([photo, shard, photos / "bird"])
    assert [name for name, *_ in mixed[:2]] == [photo.as_posix(), (shard / of_files[8][0]).as_posix()]
    assert [row[1:] for row in mixed] == [row[1:] for row in (of_files[0], *of_files[8:16], *of_files[1:8])]


def test_images_without_labels_are_extracted(photos, tmp_path):
    """A flat folder, a list of paths, and a table that has nothing but paths."""
    flat = tmp_path / "flat"
    flat.mkdir()
    names = [
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}") for path in sorted(photos.glob("*/00[01].png"))
    ]
    (tmp_path / "list.txt").write_text("".join(f"flat/{path.name}\n" for path in names))
    (tmp_path / "table.csv").write_text("path\n" + "".join(f"{path}\n" for path in names))
    bits = []
    for number, images in enumerate((flat, tmp_path / "list.txt", tmp_path / "table.csv")):
        report = udta.extract(images, out=tmp_path / str(number), **OPTIONS)
        opened, same = contents(tmp_path / str(number))
        assert (report.rows, opened.classes, set(opened.splits)) == (6, (), {"unlabelled"})
        assert (opened.labels == -1).all()
        bits.append(same)
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.slow
def test_six_hundred_photographs_in_every_form(tmp_path):
    root, options = photographs(tmp_path / "photos", per_class=200), {**OPTIONS, "views": 1}
    udta.extract(root, out=tmp_path / "folder.zarr", **options)
    _, bits = contents(tmp_path / "folder.zarr")
    for form in FORMS:
        (tmp_path / form).mkdir()
        udta.extract(getattr(packed, form)(root, tmp_path / form), out=tmp_path / f"{form}.zarr", **options)
        opened, same = contents(tmp_path / f"{form}.zarr")
        assert (len(opened), same) == (600, bits)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_bytes_of_shards(tmp_path):
    """By a few hundred bytes an image: its id, hash, label and place."""
    peaks = []
    for n in (1000, 3000):
        members = [(f"{number}.jpg", number.to_bytes(4) * 2048) for number in range(n)]
        path = packed.write_tar(tmp_path / f"{n}.tar", members)
        del members
        tracemalloc.start()
        manifest = read_images(path)
        assert sum(len(manifest.sample(row).read()) for row in range(n)) == n * 8192
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2000 * 2048
