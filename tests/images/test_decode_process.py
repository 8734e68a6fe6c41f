"""A child process makes the pixels that this one makes, says what is wrong with an image, and leaves nobody waiting."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from toy import photographs

from udta._machine.children import can_share_memory
from udta.errors import DataError
from udta.images import EncodedImage, PixelSpec, Transform, ViewSpec, Window, read_images
from udta.images.decode_process import DecodeProcess, rows_of_request

pytestmark = pytest.mark.skipif(not can_share_memory(), reason="needs anonymous files")
SPEC = ViewSpec(3, 5, Transform.parse("resize(16,16)"), Transform.parse("random_resized_crop(16)|flip|jitter(0.3)"))
WHICH = [0, 2]
FIVE = PixelSpec(5, Window.parse("0:10000"))


@pytest.fixture
def manifest(tmp_path):
    root = photographs(tmp_path / "images")
    (root / "cat" / "000.png").write_bytes(b"no image")
    return read_images(root)


@pytest.fixture
def child(manifest):
    process = DecodeProcess(manifest.contents, SPEC)
    yield process
    process.end()


def key(sample):
    return sample.row, sample.id, sample.sha256


def test_pixels_are_the_same_and_bad_images_are_named(manifest, child):
    chunk = rows_of_request(SPEC)
    assert 1 < chunk < len(manifest)
    for start in range(0, len(manifest), chunk):
        rows = range(start, min(start + chunk, len(manifest)))
        samples = [manifest.sample(row) for row in rows]
        target = np.full((len(WHICH), len(samples), 16, 16, 3), 7, np.uint8)
        made = child.make([key(sample) for sample in samples], WHICH, target)
        assert made.read > 0
        assert made.decode > 0
        for place, sample in enumerate(samples):
            if sample.id == "cat/000.png":
                assert "is not an image" in made.bad.pop(place)
                assert (target[:, place] == 0).all()
            else:
                expected = SPEC.make(EncodedImage(sample.read(), sample.id), sample.sha256, WHICH)
                np.testing.assert_array_equal(target[:, place], expected)
        assert not made.bad


def test_channels_and_window_are_those_of_the_views(tmp_path):
    values = np.random.default_rng(0).integers(0, 10_000, (24, 20, 5), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    spec = replace(SPEC, augment=Transform.parse("random_resized_crop(16)|flip"), pixels=FIVE)
    manifest = read_images(tmp_path)
    process, target = DecodeProcess(manifest.contents, spec), np.zeros((2, 1, 16, 16, 5), np.uint8)
    try:
        made = process.make([key(manifest.sample(0))], WHICH, target)
    finally:
        process.end()
    assert not made.bad
    sample = manifest.sample(0)
    expected = spec.make(EncodedImage(sample.read(), sample.id), sample.sha256, WHICH)
    np.testing.assert_array_equal(target[:, 0], expected)


def test_a_file_that_changed_is_told(manifest, child):
    sample = manifest.sample(3)
    (manifest.root / sample.id).write_bytes(sample.read() + b" ")
    with pytest.raises(DataError, match="changed after the manifest was made"):
        child.make([key(sample)], WHICH, np.zeros((2, 1, 16, 16, 3), np.uint8))
    child.make([key(manifest.sample(4))], WHICH, np.zeros((2, 1, 16, 16, 3), np.uint8))


def test_a_child_that_dies_is_told_with_its_images(manifest, child):
    child._process.kill()
    with pytest.raises(DataError, match=r"a process that decodes images died \(status -9\) at one of: bird/000.png"):
        child.make([key(manifest.sample(0))], WHICH, np.zeros((2, 1, 16, 16, 3), np.uint8))
