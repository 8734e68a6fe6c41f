"""What a live rival is: a way to build a network from the backbone, and the recipe it is trained with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from udta.backbones import Backbone
from udta.backbones._fold import fold_batchnorm

Optimiser = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]


def sgd(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Momentum 0.9 and weight decay 1e-4, as in most published fine-tuning of convolutional networks."""
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-4)


@dataclass(frozen=True)
class LiveRecipe:
    """How a rival is trained; `lr` is the peak of the same one-cycle schedule that the adapters have.

    Sixteen images a batch need less time an image than 32 on a CPU with small caches (77 and 96 ms of one core's time, forward
    and backward, MobileNetV2), and give small sets more steps.
    """

    lr: float
    epochs: int = 30
    batch_size: int = 16
    label_smoothing: float = 0.1
    clip: float = 1.0
    optimiser: Optimiser = field(default=sgd, repr=False)


@dataclass(frozen=True)
class Rival:
    """`build(backbone, n_classes)` gives a module from 8-bit images `[batch, 3, height, width]` to logits.

    Exactly what is trained requires a gradient in it; `rates` are the learning rates it is tuned over.
    """

    name: str
    build: Callable[[Backbone, int], nn.Module]
    recipe: LiveRecipe
    rates: tuple[float, ...] = ()


class Network(nn.Module):
    """The backbone as a trainable network: standardised input, BatchNorm folded into the convolutions, a new last layer.

    Folding leaves the function as it is and saves a fifth of the time. The weights at hand were published folded, so there
    are no batch statistics that training could go on with.
    """

    def __init__(self, backbone: Backbone, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(backbone.input.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.input.std).view(1, 3, 1, 1), persistent=False)
        self.body = copy.deepcopy(backbone.module)
        fold_batchnorm(self.body)
        last = self.body.classifier[-1]
        self.body.classifier[-1] = nn.Linear(last.in_features, n_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of uint8 images."""
        pixels = (images.float() / 255 - self.mean) / self.std
        logits: Tensor = self.body(pixels.contiguous(memory_format=torch.channels_last))
        return logits
