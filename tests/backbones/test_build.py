"""Building backbones from what the user calls them: one spelling, an identity by content, refusals that help."""

import pytest
import torch
from toy import ToyNet

from udta.backbones import build_backbone
from udta.errors import BackboneError, ConfigError


def test_a_factory_with_keywords_is_frozen_and_keeps_its_input():
    backbone = build_backbone("toy:net?width=5")
    backbone.check_frozen()
    assert backbone.module.stage1[0].out_channels == 5
    assert backbone.input.evaluate == "resize(16,16)"
    assert build_backbone("toy:net", evaluate="resize(8,8)").input.evaluate == "resize(8,8)"


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


def test_spellings_of_one_call_are_one_factory():
    specs = ("toy:net?width=5&nan=false", "toy:net?nan=False&width=5", "toy:net?nan=false&width=%35")
    backbones = [build_backbone(spec) for spec in specs]
    assert {backbone.factory for backbone in backbones} == {"toy:net?nan=false&width=5"}
    assert not any(backbone.module.nan for backbone in backbones)  # the text "False" would be true


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(3)
    assert (
        build_backbone("toy:net").weights
        == build_backbone("toy:net", seed=0).weights
        != build_backbone("toy:net", seed=1).weights
    )


def test_identity_does_not_depend_on_where_the_weights_lie(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        torch.save(ToyNet().state_dict() | {"head.bias": torch.ones(4)}, tmp_path / name / "w.pth")
    torch.save(torch.load(tmp_path / "a/w.pth", weights_only=True), tmp_path / "b/w.pth")
    a, b = (build_backbone("toy:net", str(tmp_path / name / "w.pth")) for name in ("a", "b"))
    assert a.fingerprint_fields() == b.fingerprint_fields()
    assert a.source["weights"] != b.source["weights"]
    assert str(tmp_path) not in str(a.fingerprint_fields())
