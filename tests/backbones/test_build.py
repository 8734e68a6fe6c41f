"""Building backbones and loading weights: content decides, nothing in a file is run, and every misfit is named."""

import os
import pickle
import warnings

import pytest
import safetensors.torch
import torch
from toy import ToyNet

from udta.backbones import Backbone, build_backbone
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


def test_a_factory_with_keywords_is_frozen_and_keeps_its_input():
    backbone = build_backbone("toy:net?width=5")
    backbone.check_frozen()
    assert backbone.module.stage1[0].out_channels == 5
    assert backbone.input.evaluate == "resize(16,16)"
    assert build_backbone("toy:net", evaluate="resize(8,8)").input.evaluate == "resize(8,8)"


def test_a_torchvision_name():
    backbone = build_backbone("mobilenet_v2?num_classes=7")
    assert backbone.module.classifier[1].out_features == 7
    assert backbone.input.evaluate == "resize(256)|centre_crop(224)"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("resnet81", ConfigError, "did you mean 'resnet18'"),
        ("toy:nett", ConfigError, "did you mean 'net'"),
        ("no.such.module:net", ConfigError, "cannot be imported"),
        ("toy:net?depth=3", ConfigError, "depth"),
        ("toy:net?width=-1", BackboneError, "factory failed"),
        ("os:getcwd", BackboneError, "not a torch.nn.Module"),
    ],
)
def test_what_cannot_be_built_is_named(spec, error, message):
    with pytest.raises(error, match=message):
        build_backbone(spec)


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


def test_one_bit_of_one_weight_changes_the_identity():
    a, b = build_backbone("toy:net"), build_backbone("toy:net")
    assert a.fingerprint_fields() == b.fingerprint_fields()
    b.module.head.bias.view(torch.int32)[0] ^= 1
    assert a.weights != b.weights
    assert a.architecture == b.architecture != build_backbone("toy:net?width=9").architecture


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(3)
    assert (
        build_backbone("toy:net").weights
        == build_backbone("toy:net", seed=0).weights
        != build_backbone("toy:net", seed=1).weights
    )


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


def test_frozen_means_frozen():
    module = ToyNet().eval().requires_grad_(False)
    Backbone(module, "toy").check_frozen()
    module.stage1[1].train()
    with pytest.raises(BackboneError, match=r"1 module.s. in training mode .stage1\.1"):
        Backbone(module, "toy").check_frozen()
    module.eval().head.bias.requires_grad_(True)
    with pytest.raises(BackboneError, match=r"1 trainable parameter.s. .head\.bias"):
        Backbone(module, "toy").check_frozen()


def test_the_offline_backbone_is_small_and_knows_its_letters():
    from udta.backbones.letters import WEIGHTS

    backbone = build_backbone("udta.backbones.letters:letters_net")
    assert 400_000 < sum(parameter.numel() for parameter in backbone.module.parameters()) < 600_000
    assert WEIGHTS.stat().st_size < 1_500_000
    backbone.check_frozen()
