"""Factories of one's own: found in the current folder, their input checked, what fails in them named."""

import hashlib

import pytest
import torch
from torch import nn

from udta.backbones import build_backbone
from udta.errors import BackboneError


def module_file(folder, monkeypatch, name, text):
    """A module in the current folder, where a user has it."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(folder)
    return f"{name}:net"


def test_a_factory_in_the_current_folder(tmp_path, monkeypatch):
    spec = module_file(tmp_path, monkeypatch, "own_net", "import torch\ndef net(): return torch.nn.Conv2d(3, 2, 1)\n")
    assert isinstance(build_backbone(spec).module, nn.Conv2d)


def test_a_module_that_fails_on_import_is_named(tmp_path, monkeypatch):
    with pytest.raises(BackboneError, match=r"importing 'broken_net' fails .SyntaxError"):
        build_backbone(module_file(tmp_path, monkeypatch, "broken_net", "def net(:\n"))


@pytest.mark.parametrize(
    "declared",
    [
        "{}",
        "{'evaluate': 'resize(8,8)', 'mean': [0.5], 'std': [1, 1, 1]}",
        "{'evaluate': 'resize(8,8)', 'mean': [0, 0, 0], 'std': [1, 0, 1]}",
        "{'evaluate': 'resize(8,8)', 'mean': 0, 'std': 1}",
    ],
)
def test_an_input_spec_that_is_wrong_shows_a_right_one(tmp_path, monkeypatch, declared):
    name = f"spec_{hashlib.sha256(declared.encode()).hexdigest()[:8]}"  # a module is imported once a name
    text = f"import torch\ndef net():\n    m = torch.nn.Conv2d(3, 2, 1)\n    m.input_spec = {declared}\n    return m\n"
    with pytest.raises(BackboneError, match=r"must be like .'evaluate'"):
        build_backbone(module_file(tmp_path, monkeypatch, name, text))


def test_the_offline_backbone_is_small_and_knows_its_letters():
    from udta.backbones.letters import WEIGHTS

    backbone = build_backbone("udta.backbones.letters:letters_net")
    assert 400_000 < sum(parameter.numel() for parameter in backbone.module.parameters()) < 600_000
    assert WEIGHTS.stat().st_size < 1_500_000
    backbone.check_frozen()


def test_a_name_that_begins_like_a_wrapper_is_kept(tmp_path, monkeypatch):
    spec = module_file(
        tmp_path,
        monkeypatch,
        "wrapped_net",
        "import torch\ndef net(): return torch.nn.ModuleDict({'module': torch.nn.Conv2d(3, 2, 1)})\n",
    )
    torch.save(build_backbone(spec, seed=5).module.state_dict(), tmp_path / "w.pth")
    assert build_backbone(spec, str(tmp_path / "w.pth")).weights == build_backbone(spec, seed=5).weights
