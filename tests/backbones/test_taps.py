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
    assert [(request.module, request.reducer and str(request.reducer)) for request in requests] == [
        ("features.6", None),
        ("features.13", "grid(14)"),
        ("features.18", "avg"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no tap"),
        ("a,a", "'a' is listed 2 times"),
        ("a=cls,b,a=cls", "'a=cls' is listed 2 times"),
        ("a=gird(3)", "grid"),
        ("a=grid(0)", "grid"),
        ("a=pooled", "no reducer but a tap of its own.*write pooled"),
    ],
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


def test_one_module_is_kept_in_several_ways_the_largest_under_its_own_name(vit):
    first, second = "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"
    text = f"{second}=cls,{second}=none,pooled,{first}=avg,{first}=grid(2),{first}=cls"
    specs = resolve_taps(vit, parse_taps(text), "float16")
    assert [(spec.name, spec.module, spec.reducer) for spec in specs] == [
        (first, first, "grid(2)"),
        (f"{first}@avg", first, "avg"),
        (f"{first}@cls", first, "cls"),
        (second, second, "none"),
        (f"{second}@cls", second, "cls"),
        ("pooled", "pooled", "none"),
    ]
    # Whatever the order in which somebody asked.
    assert resolve_taps(vit, parse_taps(text)[::-1], "float16") == specs


def test_what_is_stored_keeps_its_name(vit):
    module = "encoder.layers.encoder_layer_0"
    stored = resolve_taps(vit, parse_taps(f"{module}=cls"), "float16")
    assert stored[0].name == module
    specs = resolve_taps(vit, parse_taps(f"{module}=grid(2),{module}=cls"), "float16", stored)
    assert [(spec.name, spec.reducer) for spec in specs] == [(f"{module}@grid2", "grid(2)"), (module, "cls")]


def test_the_same_twice_is_refused_however_it_was_written(vit):
    module = "encoder.layers.encoder_layer_0"
    with pytest.raises(ConfigError, match=r"layer_0=none' is asked for 2 times"):
        resolve_taps(vit, parse_taps(f"{module},{module}=none"), "float16")
    with pytest.raises(ConfigError, match=f"is how a store names it: ask for '{module}=cls'"):
        resolve_taps(vit, parse_taps(f"{module}@cls"), "float16")


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


def test_the_list_has_what_the_head_is_given_at_its_place(resnet):
    taps = list_taps(resnet)
    assert [(tap.name, tap.kind, tap.shape) for tap in taps][-3:] == [
        ("avgpool", "AdaptiveAvgPool2d", (512, 1, 1)),
        ("pooled", "into fc", (512,)),
        ("fc", "Linear", (1000,)),
    ]


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
