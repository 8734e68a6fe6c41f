"""UDTA with the backbone run in every epoch.

Without a cache nothing is found before the first epoch, so it learns directions with everything else, on channels as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from benchmarks.live.frozen import OnLiveTaps, tap_specs
from benchmarks.live.rival import LiveRecipe, Rival
from benchmarks.real import TAPS
from benchmarks.variants import LearnedThroughout
from udta.adapters import find_adapter
from udta.backbones import Backbone

_RECIPE = find_adapter("udta").recipe


def build(backbone: Backbone, n_classes: int) -> nn.Module:
    """Only the adapter requires a gradient."""
    specs = tap_specs(backbone, TAPS)
    return OnLiveTaps(backbone, specs, LearnedThroughout({tap.name: tap.shape for tap in specs}, n_classes))


def _adamw(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """As the adapter's own trainer has it: biases and BatchNorm parameters are not decayed."""
    every = list(parameters)
    groups = [
        {"params": [each for each in every if each.ndim > 1], "weight_decay": _RECIPE.weight_decay},
        {"params": [each for each in every if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr)


RIVAL = Rival(
    "udta_live",
    build,
    LiveRecipe(
        lr=_RECIPE.lr,
        epochs=_RECIPE.epochs,
        batch_size=_RECIPE.batch_size,
        label_smoothing=_RECIPE.label_smoothing,
        clip=_RECIPE.clip,
        optimiser=_adamw,
    ),
    rates=(_RECIPE.lr,),
)
