"""torchvision's models: their input, their weight enums, and what to do without a network."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from udta.backbones import build_backbone, rebuild_backbone
from udta.backbones.sources.torchvision import Torchvision
from udta.errors import WeightsError


@pytest.mark.parametrize(
    ("name", "evaluate"),
    [
        ("resnet18", "resize(256)|centre_crop(224)"),
        ("inception_v3", "resize(342)|centre_crop(299)"),
        ("efficientnet_b4", "resize(384,filter=bicubic)|centre_crop(380)"),
        ("swin_t", "resize(232,filter=bicubic)|centre_crop(224)"),
        ("vit_b_16", "resize(256)|centre_crop(224)"),
    ],
)
def test_torchvision_names_have_the_input_of_their_first_weights(name, evaluate):
    made = Torchvision().blueprint(name, "none", {})
    assert made.input_of(nn.Identity()).evaluate == evaluate


def test_a_torchvision_name():
    backbone = build_backbone("mobilenet_v2?num_classes=7")
    assert backbone.module.classifier[1].out_features == 7
    assert backbone.input.evaluate == "resize(256)|centre_crop(224)"


def test_a_misspelt_weight_enum_gets_the_nearest_ones():
    with pytest.raises(WeightsError, match="did you mean 'IMAGENET1K_V1'"):
        build_backbone("resnet18", "IMAGENET1K_V11")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """torch's cache, and a network that gives random weights; a list of what was asked for, with the hash in its name."""
    asked = []

    def download(url, path, prefix, *, progress):
        asked.append((url.rsplit("/", 1)[1], prefix, progress))
        name = Path(path).name.split("-")[0]
        arguments = {"weights": None, **({"init_weights": False} if name == "googlenet" else {})}
        torch.save(torchvision.models.get_model(name, **arguments).state_dict(), path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return asked


def test_a_weight_enum_brings_its_input_and_what_its_builder_sets(published):
    backbone = build_backbone("googlenet", "IMAGENET1K_V1")
    assert backbone.module.transform_input  # these weights want another normalisation, applied inside
    assert backbone.input.evaluate == "resize(256)|centre_crop(224)"


def test_pretrained_is_the_default_enum_by_its_own_name(published, capsys):
    backbone = build_backbone("resnet50", "pretrained")
    assert published == [("resnet50-11ad3fa6.pth", "11ad3fa6", False)]
    assert backbone.source == {
        "backbone": "resnet50",
        "weights": "IMAGENET1K_V2",
        "id": "ResNet50_Weights.IMAGENET1K_V2",
        "revision": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
    }
    assert backbone.input.evaluate == "resize(232)|centre_crop(224)"
    assert rebuild_backbone(backbone.source, "store s").weights == backbone.weights
    assert len(published) == 1
    assert capsys.readouterr().out == ""


def test_weights_that_cannot_be_downloaded_say_where_they_are(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(WeightsError, match=r"https://.*resnet18.* cannot be downloaded .*no route.*give the file"):
        build_backbone("resnet18", "IMAGENET1K_V1")
    with pytest.raises(WeightsError, match="no torchvision weights of this name"):
        build_backbone("resnet18", "pretrained@v1")
