"""Several processes that write one store: the same bits, whoever dies."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from test_killed_command import command, tree
from toy import photographs

import udta
from udta._machine.children import _rebuilt
from udta.errors import BackboneError, ConfigError, ImageError, StoreError

OPTIONS = {"taps": "stage1=grid(4),stage2=avg", "views": 2, "compute": "float32", "dtype": "float32"}


@pytest.fixture
def images(tmp_path, monkeypatch):
    """96 images in blocks of 16."""
    monkeypatch.setattr("udta.store._layout.BLOCK_ROWS", 16)
    return photographs(tmp_path / "photos", per_class=32)


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(images, tmp_path):
    report = udta.extract(images, backbone="toy:net", out=tmp_path / "two", workers=2, **OPTIONS)
    udta.extract(images, backbone="toy:net", out=tmp_path / "one", **OPTIONS)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert (report.workers, report.computed_rows, report.computed_images) == (2, 96, 192)
    assert report.step_seconds["forward"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "one", "two", "one.report.json", "two.report.json", "photos",
    }  # fmt: skip


@pytest.mark.slow
def test_the_survivors_do_the_work_of_those_that_die(images, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    (deaths / "one").touch()
    backbone = f"toy:net?deaths={deaths}"
    udta.extract(images, backbone=backbone, out=tmp_path / "s", workers=2, **OPTIONS)
    assert not list(deaths.iterdir())
    udta.extract(images, backbone=backbone, out=tmp_path / "whole", **OPTIONS)
    assert tree(tmp_path / "s") == tree(tmp_path / "whole")


@pytest.mark.slow
def test_a_worker_that_is_stopped_is_named_and_goes_on_when_it_may(images, tmp_path, monkeypatch):
    monkeypatch.setattr("udta.extraction._workers.Silence.__init__.__defaults__", (0.5, time.monotonic))
    monkeypatch.setattr("udta.extraction._workers._SIGN_S", 0.1)
    deaths, named = tmp_path / "deaths", set()
    deaths.mkdir()
    (deaths / "one").write_text(str(int(signal.SIGSTOP)))

    def let_go_on(what, done, total, note):
        for process in map(int, re.findall(r"process (\d+)\) has not answered", note)):
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                named.add(process)
                os.kill(process, signal.SIGCONT)

    backbone = f"toy:net?deaths={deaths}"
    udta.extract(images, backbone=backbone, out=tmp_path / "s", workers=2, progress=let_go_on, **OPTIONS)
    assert len(named) == 1
    udta.extract(images, backbone=backbone, out=tmp_path / "whole", **OPTIONS)
    assert tree(tmp_path / "s") == tree(tmp_path / "whole")


@pytest.mark.slow
def test_when_all_die_the_same_command_continues(images, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    for number in range(2):
        (deaths / str(number)).touch()
    backbone = f"toy:net?deaths={deaths}"
    with pytest.raises(StoreError, match=r"all 2 worker processes died.*the same command continues"):
        udta.extract(images, backbone=backbone, out=tmp_path / "s", workers=2, **OPTIONS)
    udta.extract(images, backbone=backbone, out=tmp_path / "s", workers=2, **OPTIONS)
    assert udta.open_store(tmp_path / "s").complete


@pytest.mark.slow
def test_what_is_wrong_in_a_child_is_the_parents_error(images, tmp_path):
    (images / "dog" / "031.png").write_bytes(b"this is text")
    with pytest.raises(ImageError, match=r"dog/031\.png.*is not an image"):
        udta.extract(images, backbone="toy:net", out=tmp_path / "s", workers=2, **OPTIONS)
    report = udta.extract(images, backbone="toy:net", out=tmp_path / "s", workers=2, on_error="skip", **OPTIONS)
    assert list(report.skipped) == ["dog/031.png"]


@pytest.mark.slow
def test_killed_with_its_children_the_command_continues(tmp_path):
    images = photographs(tmp_path / "photos", per_class=700)
    subprocess.run(command(images, tmp_path / "whole"), check=True, capture_output=True)
    process = subprocess.Popen([*command(images, tmp_path / "s"), "--workers", "2"], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("s/ledger/*/zarr.json")):
        assert process.poll() is None
        time.sleep(0.01)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*command(images, tmp_path / "s"), "--workers", "2"], check=True, capture_output=True)
    assert tree(tmp_path / "s") == tree(tmp_path / "whole")
    assert not (tmp_path / ".s.claims").exists()
    assert not any(Path("/proc", child).exists() for child in children)


def test_a_backbone_that_cannot_be_sent_is_refused(images, tmp_path):
    backbone = udta.build_backbone("toy:net")
    backbone.module.extra = lambda images: images  # a lambda cannot be pickled
    with pytest.raises(BackboneError, match=r"cannot be sent to another process.*--workers 1"):
        udta.extract(images, backbone=backbone, out=tmp_path / "s", workers=2, **OPTIONS)
    assert not (tmp_path / "s").exists()


def test_impossible_numbers_are_refused_together(images, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)workers is 0.*prefetch is 0"):
        udta.extract(images, backbone="toy:net", out=tmp_path / "s", workers=0, prefetch=0, **OPTIONS)


def test_an_error_from_a_child_keeps_its_class_and_message():
    error = _rebuilt("ImageError", "a.jpg: is empty")
    assert isinstance(error, ImageError)
    assert str(error) == "a.jpg: is empty"


def test_prefetch_changes_no_bit(images, tmp_path):
    for prefetch in (1, 7):
        udta.extract(images, backbone="toy:net", out=tmp_path / str(prefetch), prefetch=prefetch, **OPTIONS)
    assert tree(tmp_path / "1") == tree(tmp_path / "7")
