"""Last-layer training: a new linear layer, the backbone run in every epoch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from benchmarks.live.frozen import OnLiveTaps, tap_specs
from benchmarks.live.rival import LiveRecipe, Rival
from benchmarks.real import LAST_TAP
from udta.backbones import Backbone


class _LastLayer(nn.Module):
    """Dropout 0.2 and a linear layer, the classifier of a MobileNetV2."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.classify = nn.Sequential(nn.Dropout(0.2), nn.Linear(n_features, n_classes))

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Logits."""
        logits: Tensor = self.classify(features[LAST_TAP])
        return logits


def build(backbone: Backbone, n_classes: int) -> nn.Module:
    """Only the linear layer requires a gradient."""
    specs = tap_specs(backbone, f"{LAST_TAP}=avg")
    return OnLiveTaps(backbone, specs, _LastLayer(specs[0].shape[0], n_classes))


RIVAL = Rival("last_layer", build, LiveRecipe(lr=3e-2), rates=(1e-2, 3e-2, 1e-1))
