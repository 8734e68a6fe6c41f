"""Batches are the same whoever decodes them, and processes end with their batches."""

import subprocess
from contextlib import ExitStack, closing

import pytest
import torch
from made_stores import tree
from PIL import Image
from toy import photographs

import udta
import udta.extraction.extract  # before anything is patched: it keeps what it imports
from udta._machine.children import can_share_memory
from udta.errors import DataError, ImageError
from udta.extraction._meter import Meter
from udta.extraction._work import Effort, WorkItem
from udta.extraction.decode import ProcessDecoder, ThreadDecoder, processes_pay
from udta.images import Transform, ViewSpec, read_images

needs_memory = pytest.mark.skipif(not can_share_memory(), reason="needs anonymous files")
SPEC = ViewSpec(2, 1, Transform.parse("resize(16,16)"), Transform.parse("random_resized_crop(16)|flip"))


@pytest.fixture
def manifest(tmp_path):
    root = photographs(tmp_path / "images", per_class=20)
    (root / "cat" / "003.png").write_bytes(b"no image")
    return read_images(root)


def decoder(kind, manifest, on_error="skip", meter=None, threads=3):
    device, effort = torch.device("cpu"), Effort(threads=threads)
    return closing(kind(manifest, SPEC, on_error, device=device, effort=effort, meter=meter or Meter()))


def batches(manifest, decode=None, which=(0, 1)):
    rows = [list(range(32)), list(range(32, len(manifest)))]
    with decoder(ThreadDecoder, manifest) as threads:
        begun = [(decode or threads)(WorkItem(some, tuple(which), ())) for some in rows]
        return [each.result() for each in begun]


@pytest.fixture
def processes(manifest):
    """A maker of decoders that are closed at the end."""
    with ExitStack() as opened:
        yield lambda on_error="skip": opened.enter_context(decoder(ProcessDecoder, manifest, on_error))


@needs_memory
def test_processes_make_what_threads_make(manifest, processes):
    decode = processes()
    for which in ([0, 1], [1], [0]):
        found = batches(manifest, decode, which)
        for one, expected in zip(found, batches(manifest, which=which), strict=True):
            assert torch.equal(one.images, expected.images)
            assert one.skipped == expected.skipped
            assert list(one.rows) == list(expected.rows)


@needs_memory
def test_a_bad_image_stops_them_where_it_shall(manifest, processes):
    with pytest.raises(ImageError, match=r"cat/003\.png"):
        list(batches(manifest, processes("fail")))
    (manifest.root / manifest.ids[2]).write_bytes(b"another file")
    with pytest.raises(DataError, match="changed after the manifest was made"):
        list(batches(manifest, processes()))


@pytest.mark.slow
@needs_memory
def test_no_child_outlives_the_extraction(manifest, tmp_path, monkeypatch):
    started = []
    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(original(*a, **k)) or started[-1])
    monkeypatch.setattr("udta.extraction.decode.processes_pay", lambda *_: True)
    what = {"backbone": "toy:net", "taps": "stage1,stage2=avg", "views": 2, "device": "cpu"}
    with pytest.raises(ImageError, match=r"cat/003\.png"):
        udta.extract(manifest, out=tmp_path / "failed", **what)
    report = udta.extract(manifest, out=tmp_path / "store", on_error="skip", **what)
    assert report.skipped.keys() == {"cat/003.png"}
    assert started
    assert all(child.poll() is not None for child in started)
    monkeypatch.undo()
    udta.extract(manifest, out=tmp_path / "by-threads", on_error="skip", **what)
    assert tree(tmp_path / "store") == tree(tmp_path / "by-threads")


def test_processes_are_for_gpus_with_much_to_do():
    assert processes_pay(torch.device("cuda"), 16, 100_000) == can_share_memory()
    assert not processes_pay(torch.device("cuda"), 16, 100)
    assert not processes_pay(torch.device("cuda"), 2, 100_000)
    assert not processes_pay(torch.device("cpu"), 16, 100_000)


@needs_memory
@pytest.mark.parametrize("kind", [ThreadDecoder, ProcessDecoder])
def test_colour_profiles_that_are_not_used_are_counted(tmp_path, kind):
    (tmp_path / "cat").mkdir()
    for number in range(3):
        profile = {"icc_profile": b"broken"} if number else {}
        Image.new("RGB", (20, 20)).save(tmp_path / "cat" / f"{number}.png", **profile)
    meter = Meter()
    with decoder(kind, read_images(tmp_path), "fail", meter, threads=1) as decode:
        for row in range(3):
            decode(WorkItem([row], (0,), ())).result()
    assert meter.notes == {"a broken colour profile was ignored": 2}
