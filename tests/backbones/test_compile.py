"""Compiled code gives the features of code that is not, for any number of rows and from any number of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from udta.backbones import Backbone, TapForward, build_backbone, parse_taps, resolve_compute, resolve_taps
from udta.backbones._compile import compile_between_taps
from udta.errors import ConfigError

CPU = torch.device("cpu")


def images(count):
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


class Stages(nn.Module):
    """The second stage changes what the first one gave in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.second(self.first(x)).mean((2, 3)))


def test_what_lies_between_taps_is_compiled():
    def count(*taps):
        return compile_between_taps(Stages(), taps)

    assert count() == 1
    assert count("first", "second") == 3
    assert count("second.1") == 1 + 4 + 1


def test_names():
    assert resolve_compute("float32+compile", CPU) == "float32+compile"
    with pytest.raises(ConfigError, match=r"did you mean 'float32\+compile'"):
        resolve_compute("float32+compil", CPU)


@pytest.mark.slow
def test_features_are_the_same_up_to_rounding():
    backbone = Backbone(Stages().eval().requires_grad_(False), "stages")
    specs = resolve_taps(backbone, parse_taps("first,second=avg"), "float32")
    plain, compiled = (TapForward(backbone, specs, name, CPU) for name in ("float32", "float32+compile"))
    counts = (32, 5, 32, 1)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(compiled, map(images, counts)))
    for count, features in zip(counts, found, strict=True):
        for tap, values in plain(images(count)).items():
            assert features[tap].shape == values.shape
            np.testing.assert_allclose(features[tap], values, atol=1e-5 * float(values.abs().max()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_features_are_near_on_a_gpu():
    backbone = build_backbone("resnet18", evaluate="resize(64,64)")
    specs = resolve_taps(backbone, parse_taps("layer2,layer4=avg"), "float32")
    cuda = torch.device("cuda")
    plain, compiled = (TapForward(backbone, specs, name, cuda) for name in ("bfloat16", "bfloat16+compile"))
    for tap, values in plain(images(32)).items():
        assert float((compiled(images(32))[tap] - values).norm() / values.norm()) < 2e-2
