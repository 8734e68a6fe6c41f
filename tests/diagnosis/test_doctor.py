"""Every check says what it finds; a machine with something wrong is told what to do."""

import json
import resource
from collections import namedtuple
from pathlib import Path

import pytest
import torch

import udta
from udta.diagnosis import _accelerator, _resources, _software
from udta.diagnosis.doctor import CHECKS

HERE = Path()


@pytest.fixture
def card(monkeypatch):
    """A machine with a card that torch does not see: the CUDA of its driver, and that of torch."""

    def put_in(driver, built_for):
        said = f"| NVIDIA-SMI 550.54  Driver Version: 550.54  CUDA Version: {driver} |"
        listed = "NVIDIA H100, 550.54\n"
        monkeypatch.setattr(_accelerator.shutil, "which", lambda program: "/usr/bin/nvidia-smi")
        monkeypatch.setattr(_accelerator, "_said", lambda *arguments: listed if arguments else said)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.version, "cuda", built_for)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return _accelerator.gpu(HERE)

    return put_in


def test_a_card_that_torch_does_not_see_is_told_why(card, monkeypatch):
    assert "built without CUDA: install torch and torchvision for CUDA 12.4, with" in card("12.4", None).advice
    old = card("12.4", "13.0")
    assert (old.status, "NVIDIA H100 (driver 550.54)" in old.found) == ("warn", True)
    assert "the driver is for CUDA 12.4 at most, this torch for 13.0: update the driver" in old.advice
    assert "or install torch and torchvision for CUDA 12.4, with the command that https://pytorch.org" in old.advice
    assert "--gpus all" in card("13.0", "12.6").advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is '' and hides it" in _accelerator.gpu(HERE).advice
    monkeypatch.setattr(_accelerator, "_driver", lambda: ("", None))
    assert _accelerator.gpu(HERE).status == "ok"


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "status", "advice"),
    [
        ("2.14.1", "0.29.1", "ok", ""),
        ("2.14.1", "0.28.0", "fail", "pip install 'torch==2.14.1' 'torchvision==0.29.*'"),
        ("2.14.1+cpu", "0.29.1+cu130", "warn", "from one index"),
        ("2.14.1", None, "fail", "pip install torchvision"),
    ],
)
def test_torch_and_torchvision_belong_together(monkeypatch, torch_version, torchvision_version, status, advice):
    versions = {"torch": torch_version, "torchvision": torchvision_version}
    monkeypatch.setattr(_software, "_version", versions.get)
    found = _software.torch_pairing(HERE)
    assert found.status == status
    assert advice in found.advice


def test_what_is_missing_comes_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr("udta.images.extra_formats", lambda: {"AVIF": "", "HEIF": "'udta[formats]'"})
    assert _software.formats(HERE).advice == "for HEIF: pip install 'udta[formats]'"
    installed = {"timm": "1.0.9", "huggingface_hub": "0.20"}
    monkeypatch.setattr(_software, "_version", installed.get)
    assert "too old: huggingface_hub 0.20 (udta needs >=0.26)" in _software.extras(HERE).advice
    installed["huggingface_hub"] = "0.30"
    found = _software.extras(HERE)
    assert found.found.startswith("timm; not installed: ")
    assert "parquet" in found.advice
    assert "udta[project]" in _software.project(HERE).advice
    monkeypatch.setattr(_software.locale, "getpreferredencoding", lambda _: "ANSI_X3.4-1968")
    assert "PYTHONUTF8=1" in _software.locale_of_names(HERE).advice


def test_limits_that_are_too_low_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1_048_576))
    assert "ulimit -n 4096" in _resources.open_files(HERE).advice
    monkeypatch.setattr(_resources, "n_cores", lambda: 64)
    monkeypatch.setattr(_resources, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert _resources.cores(HERE).advice == ""
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert "export OMP_NUM_THREADS=2" in _resources.cores(HERE).advice
    monkeypatch.setattr(_resources, "usable_memory", lambda: (4 * 10**9, 10**9))
    assert _resources.memory(HERE).found == "1.0 GB free of 4.0"
    assert _resources.memory(HERE).status == "warn"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(_resources.shutil, "disk_usage", lambda _: usage(0, 0, 10**8))
    assert _resources.disk(tmp_path).status == _resources.temporary(tmp_path).status == "warn"


def test_the_verb_says_all_and_leaves_nothing(udta_command, monkeypatch, tmp_path):
    monkeypatch.setattr(_resources, "_TEST_BYTES", 2**22)
    status, out, _ = udta_command("doctor", tmp_path, "--json")
    document = json.loads(out)
    assert [check["name"] for check in document["checks"]] == list(CHECKS)
    assert status == int(any(check["status"] == "fail" for check in document["checks"]))
    assert document["healthy"] == (status == 0)
    assert udta.doctor(tmp_path).to_json().keys() == document.keys()
    assert list(tmp_path.iterdir()) == []
    status, out, _ = udta_command("doctor", tmp_path / "absent")
    assert (status, "absent: there is no such folder\n      -> make it, or name another" in out) == (1, True)

    def broken(_folder):
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setitem(CHECKS, "gpu", broken)
    assert "fail  gpu         cannot be looked at: OSError: libcudart.so.13" in udta_command("doctor", tmp_path)[1]
