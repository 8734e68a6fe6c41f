"""AdamW for K adapters at once: every parameter has the adapters as its first axis, every hyperparameter is a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Hyperparameters:
    """One value for each adapter, float32."""

    lr: Float[Tensor, " adapters"]
    weight_decay: Float[Tensor, " adapters"]
    label_smoothing: Float[Tensor, " adapters"]
    clip: Float[Tensor, " adapters"]


class StackedAdamW:
    """`torch.optim.AdamW` with its defaults, on stacked parameters (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2).

    As in single training, biases and BatchNorm parameters are not decayed.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.first = {name: torch.zeros_like(values) for name, values in parameters.items()}
        self.second = {name: torch.zeros_like(values) for name, values in parameters.items()}
        self.steps = 0

    def pick(self, kept: Sequence[int]) -> None:
        """Forget the moments of all adapters but these."""
        index = list(kept)
        self.first = {name: values[index] for name, values in self.first.items()}
        self.second = {name: values[index] for name, values in self.second.items()}

    @torch.no_grad()
    def step(self, parameters: Mapping[str, Tensor], settings: Hyperparameters, progress: Tensor) -> None:
        """One update from the gradients; `progress` is each adapter's learning rate as a share of its peak."""
        self.steps += 1
        values = list(parameters.values())
        gradients = [value.grad for value in values if value.grad is not None]
        self._clip(gradients, settings.clip)
        first, second = list(self.first.values()), list(self.second.values())
        torch._foreach_lerp_(first, gradients, 1 - BETA1)
        torch._foreach_mul_(second, BETA2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - BETA2)
        scales = torch._foreach_sqrt(second)
        torch._foreach_div_(scales, (1 - BETA2**self.steps) ** 0.5)
        torch._foreach_add_(scales, EPS)
        lr = settings.lr * progress
        for value, mean, scale in zip(values, first, scales, strict=True):
            if value.ndim > 2:
                value.mul_(_along(1 - lr * settings.weight_decay, value))
            value.sub_(mean.div(scale).mul_(_along(lr / (1 - BETA1**self.steps), value)))

    @staticmethod
    def _clip(gradients: Sequence[Tensor], limits: Float[Tensor, " adapters"]) -> None:
        """Each adapter's whole gradient to its own norm, as `torch.nn.utils.clip_grad_norm_`."""
        squares = torch.stack([gradient.reshape(len(gradient), -1).square().sum(1) for gradient in gradients])
        factors = (limits / (squares.sum(0).sqrt() + 1e-6)).clamp_max(1.0)
        for gradient in gradients:
            gradient.mul_(_along(factors, gradient))


def _along(factors: Float[Tensor, " adapters"], like: Tensor) -> Tensor:
    """One factor for each adapter, shaped to multiply a stacked tensor."""
    return factors.view(-1, *[1] * (like.ndim - 1))
