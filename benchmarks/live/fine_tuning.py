"""Full fine-tuning: every weight of the backbone and a new last layer."""

from __future__ import annotations

from torch import nn

from benchmarks.live.rival import LiveRecipe, Network, Rival
from udta.backbones import Backbone


def build(backbone: Backbone, n_classes: int) -> nn.Module:
    """Everything requires a gradient."""
    return Network(backbone, n_classes).requires_grad_(True)


RIVAL = Rival("fine_tuning", build, LiveRecipe(lr=3e-3), rates=(1e-3, 3e-3, 1e-2))
