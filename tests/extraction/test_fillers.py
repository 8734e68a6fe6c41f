"""Batches are the same whoever decodes them, and processes end with their batches."""

import subprocess

import pytest
import torch
from toy import photographs

from udta.data import Transform, ViewSpec, read_images
from udta.data.processes import can_share_memory
from udta.errors import DataError, ImageError
from udta.extraction import decoded_batches
from udta.extraction.fillers import processes_pay

needs_memory = pytest.mark.skipif(not can_share_memory(), reason="needs anonymous files")
SPEC = ViewSpec(2, 1, Transform.parse("resize(16,16)"), Transform.parse("random_resized_crop(16)|flip"))


@pytest.fixture
def manifest(tmp_path):
    root = photographs(tmp_path / "images", per_class=20)
    (root / "cat" / "003.png").write_bytes(b"no image")
    return read_images(root)


def batches(manifest, on_error="skip", **options):
    rows = [range(32), range(32, len(manifest))]
    return decoded_batches(manifest, SPEC, [0, 1], rows, on_error, **options)


@needs_memory
def test_processes_make_what_threads_make(manifest):
    for found, expected in zip(batches(manifest, processes=True, threads=3), batches(manifest), strict=True):
        assert torch.equal(found.images, expected.images)
        assert found.skipped == expected.skipped
        assert list(found.rows) == list(expected.rows)


@needs_memory
def test_a_bad_image_stops_them_where_it_shall(manifest):
    with pytest.raises(ImageError, match=r"cat/003\.png"):
        list(batches(manifest, "fail", processes=True, threads=2))
    manifest.sample(2).path.write_bytes(b"another file")
    with pytest.raises(DataError, match="changed after the manifest was made"):
        list(batches(manifest, processes=True, threads=2))


@needs_memory
def test_no_child_outlives_its_batches(manifest, monkeypatch):
    started = []
    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(original(*a, **k)) or started[-1])
    source = batches(manifest, processes=True, threads=2, prefetch=1)
    next(source)
    source.close()
    assert started
    assert all(child.poll() is not None for child in started)


def test_processes_are_for_gpus_with_much_to_do():
    assert processes_pay(torch.device("cuda"), 16, 100_000) == can_share_memory()
    assert not processes_pay(torch.device("cuda"), 16, 100)
    assert not processes_pay(torch.device("cuda"), 2, 100_000)
    assert not processes_pay(torch.device("cpu"), 16, 100_000)
