"""Loading weights: nothing in a file is run, every misfit is named, and a damaged file is refused."""

import os
import pickle
import random
import warnings

import pytest
import safetensors.torch
import torch
from toy import ToyNet

from udta.backbones import build_backbone
from udta.errors import BackboneError, ConfigError, WeightsError


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def state():
    torch.manual_seed(1)
    return ToyNet().state_dict()


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_weights_from_torch_files_as_people_save_them(tmp_path, state, wrap):
    torch.save(wrap(state), tmp_path / "w.pth")
    loaded = build_backbone("toy:net", str(tmp_path / "w.pth"))
    assert all(torch.equal(values, state[name]) for name, values in loaded.module.state_dict().items())


def test_weights_from_safetensors_have_the_same_identity(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    safetensors.torch.save_file(state, tmp_path / "moved.safetensors")
    a, b = (build_backbone("toy:net", str(tmp_path / name)) for name in ("w.pth", "moved.safetensors"))
    assert a.fingerprint_fields() == b.fingerprint_fields()


def test_weights_of_another_network_say_which_keys_differ(tmp_path, state):
    other = {**state, "head.weight": torch.zeros(7, 16), "extra": torch.zeros(1)}
    del other["stage1.0.weight"]
    torch.save(other, tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        build_backbone("toy:net", str(tmp_path / "w.pth"))
    text = str(caught.value)
    for expected in (
        "1 key(s) missing in the file: stage1.0.weight",
        "not in the backbone: extra",
        "head.weight [7, 16] instead of [4, 16]",
    ):
        assert expected in text


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    trap = tmp_path / "trap"
    with (tmp_path / "w.pth").open("wb") as file:
        pickle.dump(Payload(trap), file)
    torch.save(Payload(trap), tmp_path / "zip.pth")
    for name in ("w.pth", "zip.pth"):
        with pytest.raises(WeightsError, match="would run code"):
            build_backbone("toy:net", str(tmp_path / name))
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a weights file|cut short"),
        (b"plain text", "not a weights file"),
        (None, "cut short"),
        ("list", "not a state_dict"),
    ],
)
def test_files_that_are_no_weights(tmp_path, state, content, message):
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is None:
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        torch.save([1, 2], path)
    with pytest.raises(WeightsError, match=message):
        build_backbone("toy:net", str(path))


def test_torchscript_is_refused_as_weights_and_as_a_backbone(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in many a folder of models
        scripted = torch.jit.script(torch.nn.Conv2d(3, 2, 1))
        torch.jit.save(scripted, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="TorchScript archive"):
        build_backbone("toy:net", str(tmp_path / "w.pt"))
    with pytest.raises(ConfigError, match="is a file: name the architecture"):
        build_backbone(str(tmp_path / "w.pt"))
    monkeypatch.setattr("toy.net", lambda: scripted)
    with pytest.raises(BackboneError, match="TorchScript module, which cannot be tapped"):
        build_backbone("toy:net")


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match="there is no such weights file"):
        build_backbone("toy:net", str(tmp_path / "absent.pth"))
    with pytest.raises(WeightsError, match="no torchvision weights"):
        build_backbone("resnet18", "IMAGENET1K_V9")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_weights_load_or_are_refused_and_never_crash(tmp_path, zipped):
    path, draw = tmp_path / "w.pth", random.Random(0)
    torch.save(ToyNet(2).state_dict(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            build_backbone("toy:net?width=2", str(path))
        except WeightsError:
            continue
