"""timm's models: how names resolve, what input they ask for, and what to do where timm is not installed."""

import sys

import pytest
import torch
from torch import nn

from udta.backbones import build_backbone
from udta.backbones.sources.timm import Timm
from udta.errors import ConfigError, WeightsError

SMALL = "mobilenetv3_small_050?num_classes=3"


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="needs the extra timm")


def test_torchvision_comes_first_and_the_prefix_asks_for_timm(timm):
    names = ("resnet18", "timm:resnet18")
    backbones = [build_backbone(f"{name}?num_classes=2", evaluate="resize(32,32)") for name in names]
    assert [type(backbone.module).__module__ for backbone in backbones] == [
        "torchvision.models.resnet",
        "timm.models.resnet",
    ]
    assert [backbone.factory for backbone in backbones] == [f"{name}?num_classes=2" for name in names]


def test_a_name_that_timm_alone_has_is_one_factory_with_and_without_the_prefix(timm):
    backbones = [build_backbone(name) for name in (SMALL, f"timm:{SMALL}")]
    assert {backbone.factory for backbone in backbones} == {f"timm:{SMALL}"}
    assert backbones[0].fingerprint_fields() == backbones[1].fingerprint_fields()
    backbones[0].check_frozen()


def test_weights_come_from_a_file_that_fits(timm, tmp_path):
    torch.save(build_backbone(SMALL, seed=5).module.state_dict(), tmp_path / "w.pth")
    assert build_backbone(SMALL, str(tmp_path / "w.pth")).weights == build_backbone(SMALL, seed=5).weights
    with pytest.raises(WeightsError, match=r"classifier\.weight \[3, 1024\] instead of \[1000, 1024\]"):
        build_backbone("mobilenetv3_small_050", str(tmp_path / "w.pth"))
    with pytest.raises(WeightsError, match="takes a file, pretrained"):
        build_backbone(SMALL, "IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mobilenetv3_smal_050", r"torchvision or timm: did you mean .*'mobilenetv3_small_050'"),
        ("timm:resnet5O", "in timm: did you mean 'resnet50'"),
        ("mobilenetv3_small_050.lamp_in1k", "did you mean 'mobilenetv3_small_050.lamb_in1k'"),
        ("mobilenetv3_small_050?widht=3", "unexpected keyword argument 'widht'"),
        ("mobilenetv3_small_050?pretrained=true", "'pretrained' is no keyword here; weights are given by --weights"),
        ("resnet18?weights=IMAGENET1K_V1", "'weights' is no keyword here"),
    ],
)
def test_what_is_wrong_with_a_name(timm, spec, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(spec)


def test_without_timm_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # importing it is an ImportError now
    for name in ("timm:resnet18", "vit_tiny_patch16_224"):
        with pytest.raises(ConfigError, match=r"pip install 'udta\[timm\]'"):
            build_backbone(name)


def input_of(name, size=None):
    """Built without memory: only the input is looked at."""
    made = Timm().blueprint(name, "none", {"img_size": size})
    with torch.device("meta"):
        return made.input_of(made.factory())


@pytest.mark.parametrize(
    ("name", "size", "evaluate", "mean"),
    [
        ("resnet18", None, "resize(235,filter=bicubic)|centre_crop(224)", 0.485),
        ("dla34", None, "resize(256)|centre_crop(224)", 0.485),
        ("vit_tiny_patch16_224.augreg_in21k", None, "resize(248,filter=bicubic)|centre_crop(224)", 0.5),
        ("vit_tiny_patch16_384", None, "resize(384,filter=bicubic)|centre_crop(384)", 0.5),
        ("vit_small_patch14_dinov2", None, "resize(518,filter=bicubic)|centre_crop(518)", 0.485),
        ("vit_small_patch14_dinov2", 224, "resize(224,filter=bicubic)|centre_crop(224)", 0.485),
        ("convnext_tiny.fb_in22k_ft_in1k_384", None, "resize(384,384,filter=bicubic)|centre_crop(384)", 0.485),
    ],
)
def test_the_input_is_the_one_timm_would_make(timm, name, size, evaluate, mean):
    spec = input_of(name, size)
    assert spec.evaluate == evaluate
    assert spec.mean[0] == mean


def test_dinov2_has_no_classes_so_that_its_file_fits(timm):
    with torch.device("meta"):
        assert isinstance(Timm().blueprint("vit_small_patch14_dinov2", "none", {}).factory().head, nn.Identity)


def test_an_input_that_no_transform_gives_has_to_be_told(timm, monkeypatch):
    config = {"input_size": (3, 64, 48), "crop_mode": "center", "interpolation": "bicubic", "crop_pct": 1.0}
    monkeypatch.setattr(
        "timm.data.config.resolve_data_config", lambda *_, **__: config | {"mean": [0] * 3, "std": [1] * 3}
    )
    with pytest.raises(ConfigError, match="give --transform"):
        build_backbone(SMALL)
    assert build_backbone(SMALL, evaluate="resize(64,48)").input.evaluate == "resize(64,48)"
