"""Parallel residual adapters: a 1x1 convolution beside every block, trained through the frozen backbone.

Source: Rebuffi et al. 2018, "Efficient parametrization of multi-domain deep neural networks", arXiv 1803.10082, where it stands
beside the 3x3 convolutions of a ResNet. Those of a MobileNetV2 are depthwise, on six times the channels of a block's ends; beside
the block, the 1x1 convolution is 36 times smaller, so the rival is at its cheapest here.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual

from benchmarks.live.beside import with_branches, zero
from benchmarks.live.rival import LiveRecipe, Rival
from udta.backbones import Backbone


def _branch(module: nn.Module) -> nn.Module | None:
    if not isinstance(module, InvertedResidual):
        return None
    convolutions = [each for each in module.modules() if isinstance(each, nn.Conv2d)]
    first, last = convolutions[0], convolutions[-1]
    return zero(nn.Conv2d(first.in_channels, last.out_channels, 1, stride=module.stride, bias=False))


def build(backbone: Backbone, n_classes: int) -> nn.Module:
    """Adapters start at zero, the network as the pretrained one."""
    return with_branches(backbone, n_classes, _branch)


RIVAL = Rival("residual_adapters", build, LiveRecipe(lr=1e-2), rates=(3e-3, 1e-2, 3e-2))
