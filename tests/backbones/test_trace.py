"""What a model itself feeds its head, found wherever it is and named where it is not."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from udta.backbones import Backbone, InputSpec, TapForward, parse_taps, resolve_taps
from udta.backbones._trace import trace
from udta.errors import ConfigError

CPU = torch.device("cpu")
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


def frozen(module, side=32):
    return Backbone(module.eval().requires_grad_(False), "test", InputSpec(f"resize({side},{side})"))


def pooled(backbone, images, compute="float32"):
    specs = resolve_taps(backbone, parse_taps("pooled"), "float32")
    return TapForward(backbone, specs, compute, CPU)(images)["pooled"]


def vit(**options):
    return timm.models.VisionTransformer(**{**VIT, **options})


def swin():
    return timm.models.SwinTransformer(32, 2, embed_dim=8, depths=(1, 1), num_heads=(1, 1), window_size=4)


def squeezed():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


NETWORKS = {
    "ViT of timm": (vit, "head"),
    "ViT of timm, average, no classes": (lambda: vit(global_pool="avg", num_classes=0), "head"),
    "attention pooling": (lambda: vit(global_pool="map", num_classes=0), "head"),
    "Swin of timm": (swin, "head.fc"),
    "ConvNeXt of timm, no classes": (lambda: timm.models.ConvNeXt(depths=(1,) * 4, dims=(8, 8, 8, 16), num_classes=0), "head.fc"),
    "ViT": (lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32), "heads.head"),
    "Swin": (lambda: torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4]), "head"),
    "ResNet": (lambda: torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], 4), "fc"),
    "MobileNet": (lambda: torchvision.models.mobilenet_v2(num_classes=5, width_mult=0.1), "classifier.1"),
    "own": (squeezed, "4"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_pooled_is_what_the_head_is_given(name):
    torch.manual_seed(0)
    build, head = NETWORKS[name]
    backbone = frozen(build())
    assert trace(backbone).head == head
    given = []
    backbone.module.get_submodule(head).register_forward_pre_hook(lambda _, args: given.append(args[0]))
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    found = pooled(backbone, images)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.input.mean, backbone.input.std))
    with torch.inference_mode():
        backbone.module((images / 255 - mean) / std)
    torch.testing.assert_close(found, given[-1], rtol=1e-4, atol=1e-5)


class TwoHeads(nn.Module):
    """Averages two classifiers, as distilled DeiTs do."""

    def __init__(self):
        super().__init__()
        self.norm, self.head, self.head_dist = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, pixels):
        vector = self.norm(pixels).mean((2, 3))
        return (self.head(vector) + self.head_dist(vector)) / 2


@pytest.mark.parametrize(
    ("build", "last"),
    [
        (TwoHeads, "'norm'"),
        (lambda: torchvision.models.squeezenet1_1(num_classes=4), "'classifier'"),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "'2'"),
        (lambda: vit(num_classes=0, global_pool="", img_size=64), "'head'"),
    ],
)
def test_where_no_module_is_given_it_the_error_says_what_to_take(build, last):
    with pytest.raises(ConfigError, match=f"no tap 'pooled'.*take {last}"):
        resolve_taps(frozen(build(), side=64), parse_taps("pooled"), "float16")


def test_a_module_of_that_name_is_the_one_that_is_meant():
    module = squeezed()
    named = nn.Sequential()
    for name, each in zip(("conv", "norm", "pooled", "flat", "fc"), module, strict=True):
        named.add_module(name, each)
    backbone = frozen(named)
    (spec,) = resolve_taps(backbone, parse_taps("pooled=none"), "float32")
    assert spec.shape == (8, 1, 1)
    assert pooled(backbone, torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1, 8, 1, 1)


@pytest.mark.slow
def test_compiled_code_gives_it_as_well():
    torch.manual_seed(0)
    backbone, images = frozen(vit()), torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(
        pooled(backbone, images, "float32+compile"), pooled(backbone, images), rtol=1e-4, atol=1e-5
    )
