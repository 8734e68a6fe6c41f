"""torchvision's models: their input, their weight enums, and what to do without a network."""

from urllib.error import URLError

import pytest
import torchvision
from torch import nn

from udta.backbones import build_backbone
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


def test_a_weight_enum_brings_its_input_and_what_its_builder_sets(monkeypatch):
    state = torchvision.models.googlenet(weights=None, init_weights=False).state_dict()
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", lambda *_, **__: state)
    backbone = build_backbone("googlenet", "IMAGENET1K_V1")
    assert backbone.module.transform_input  # these weights want another normalisation, applied inside
    assert backbone.input.evaluate == "resize(256)|centre_crop(224)"


def test_weights_that_cannot_be_downloaded_say_where_they_are(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", offline)
    with pytest.raises(WeightsError, match=r"cannot be downloaded .*no route.*https://.*resnet18.*give the file"):
        build_backbone("resnet18", "IMAGENET1K_V1")
