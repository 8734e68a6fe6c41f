"""LoRA-style adapters: beside every dense convolution the product of two low-rank ones, trained through the frozen backbone.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, with the first factor a
convolution of the same kernel. Depthwise convolutions have no channels to factor and stay as they are.
"""

from __future__ import annotations

from torch import nn

from benchmarks.live.beside import with_branches, zero
from benchmarks.live.rival import LiveRecipe, Rival
from udta.backbones import Backbone

RANK = 8


def _branch(module: nn.Module) -> nn.Module | None:
    if not isinstance(module, nn.Conv2d) or module.groups > 1:
        return None
    down = nn.Conv2d(module.in_channels, RANK, module.kernel_size, module.stride, module.padding, bias=False)  # type: ignore[arg-type]
    return nn.Sequential(down, zero(nn.Conv2d(RANK, module.out_channels, 1, bias=False)))


def build(backbone: Backbone, n_classes: int) -> nn.Module:
    """The second factor starts at zero, the network as the pretrained one."""
    return with_branches(backbone, n_classes, _branch)


RIVAL = Rival("lora", build, LiveRecipe(lr=1e-2), rates=(3e-3, 1e-2, 3e-2))
