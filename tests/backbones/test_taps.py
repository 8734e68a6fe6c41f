"""Taps and reducers: names, shapes, order, and what is asked for wrongly."""

import pytest
import torch
import torchvision
from torch import nn
from toy import ToyNet

from udta.backbones import Backbone, InputSpec, build_backbone, list_taps, parse_taps, resolve_taps
from udta.errors import ConfigError

SMALL = InputSpec("resize(64,64)")


def frozen(module, spec=SMALL):
    return Backbone(module.eval().requires_grad_(False), "test", spec)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return frozen(torchvision.models.VisionTransformer(64, 16, 2, 2, 12, 24))


@pytest.fixture(scope="module")
def resnet():
    return build_backbone("resnet18", evaluate="resize(64,64)")


def test_parse_reads_names_and_reducers():
    requests = parse_taps("features.6, features.13=grid(14),features.18=avg")
    assert [(request.name, request.reducer and str(request.reducer)) for request in requests] == [
        ("features.6", None),
        ("features.13", "grid(14)"),
        ("features.18", "avg"),
    ]


@pytest.mark.parametrize(
    ("text", "message"), [("", "no tap"), ("a,a", "2 times"), ("a=gird(3)", "grid"), ("a=grid(0)", "grid")]
)
def test_parse_says_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_taps(text)


def test_specs_come_in_execution_order_with_default_reducers(resnet):
    specs = resolve_taps(resnet, parse_taps("fc,layer1,layer4,layer2=avg"), "float16")
    assert [(spec.name, spec.reducer, spec.shape) for spec in specs] == [
        ("layer1", "grid(7)", (64, 7, 7)),
        ("layer2", "avg", (128,)),
        ("layer4", "none", (512, 2, 2)),
        ("fc", "none", (1000,)),
    ]


def test_all_wrong_taps_are_named_together(resnet):
    with pytest.raises(ConfigError) as caught:
        resolve_taps(resnet, parse_taps("layr1,layer4=grid(14),layer1.0.relu,fc=avg"), "float16")
    text = str(caught.value)
    for expected in (
        "did you mean 'layer1'",
        "grid(14) is larger than its map, which is 2 wide",
        "runs 2 times",
        "is a vector of 1000",
    ):
        assert expected in text


def test_vit_tokens_class_token_grid_and_average(vit):
    request = "encoder.layers.encoder_layer_0={}"
    shapes = {
        reducer: resolve_taps(vit, parse_taps(request.format(reducer)), "float16")[0].shape
        for reducer in ("none", "tokens", "cls", "avg", "grid(2)")
    }
    assert shapes == {"none": (17, 12), "tokens": (16, 12), "cls": (12,), "avg": (12,), "grid(2)": (12, 2, 2)}


def test_swin_maps_are_turned_to_channels_first():
    swin = torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4])
    spec = resolve_taps(frozen(swin), parse_taps("features.1=none"), "float16")[0]
    assert spec.shape == (8, 16, 16)


def test_list_shows_shapes_bytes_and_stage_ends(resnet):
    taps = {tap.name: tap for tap in list_taps(resnet, "float32")}
    assert taps["layer2"].shape == (128, 8, 8)
    assert taps["layer2"].stored_shape == (128, 7, 7)
    assert taps["layer2"].bytes_per_image == 128 * 49 * 4
    recommended = {name: tap.recommended for name, tap in taps.items() if tap.recommended is not None}
    assert recommended == {"layer3": "none", "layer4": "", "avgpool": "avg"}
    assert "layer1.0.relu" not in taps  # it runs twice


def test_a_vit_gets_recommendations_too(vit):
    assert any(tap.recommended is not None and "encoder_layer_1" in tap.name for tap in list_taps(vit))


class Windows(ToyNet):
    """Cuts the map into four windows, each a row of what `inner` gives."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, pixels):
        windows = pixels.unflatten(2, (2, 8)).unflatten(4, (2, 8)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        return super().forward(pixels + self.inner(windows).mean())


def test_a_module_with_several_rows_for_an_image_is_no_tap():
    backbone = frozen(Windows(), InputSpec("resize(16,16)"))
    with pytest.raises(ConfigError, match="8 rows for 2 images"):
        resolve_taps(backbone, parse_taps("inner=avg"), "float16")
    assert "inner" not in {tap.name for tap in list_taps(backbone)}


def test_a_backbone_without_modules_has_no_taps():
    assert list_taps(frozen(nn.Flatten())) == []
