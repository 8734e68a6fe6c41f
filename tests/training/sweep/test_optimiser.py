"""The stacked optimiser against `torch.optim.AdamW` and `clip_grad_norm_`, adapter by adapter."""

import numpy as np
import torch

from udta.training.sweep.optimiser import Hyperparameters, StackedAdamW

SETTINGS = [(1e-3, 10.0, 0.5), (3e-2, 0.0, 1e9), (1e-2, 0.3, 0.05)]  # lr, weight decay, clip
SHAPES = {"weight": (4, 3), "bias": (4,), "kernel": (2, 3, 5), "gate": ()}


def gradients(step):
    generator = torch.Generator().manual_seed(step)
    return {name: torch.randn(len(SETTINGS), *shape, generator=generator) for name, shape in SHAPES.items()}


def reference(number, start, steps, progress):
    lr, decay, clip = SETTINGS[number]
    own = {name: value[number].clone().requires_grad_() for name, value in start.items()}
    groups = [
        {"params": [value for value in own.values() if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in own.values() if value.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=lr)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * progress[number]
        for name, value in own.items():
            value.grad = gradients(step)[name][number].clone()
        torch.nn.utils.clip_grad_norm_(own.values(), clip)
        optimiser.step()
    return own


def test_equals_torch_for_every_adapter_and_goes_on_after_some_are_dropped():
    start = gradients(1000)
    progress = torch.tensor([0.5, 1.0, 0.1])
    stacked = {name: value.clone().requires_grad_() for name, value in start.items()}
    lr, decay, clip = (torch.tensor(values) for values in zip(*SETTINGS, strict=True))
    optimiser = StackedAdamW(stacked)
    alive = [0, 1, 2]
    for step in range(6):
        if step == 4:
            alive = [0, 2]
            stacked = {name: value.detach()[alive].requires_grad_() for name, value in stacked.items()}
            optimiser.pick(alive)
        for name, value in stacked.items():
            value.grad = gradients(step)[name][alive].clone()
        settings = Hyperparameters(lr[alive], decay[alive], torch.zeros(len(alive)), clip[alive])
        optimiser.step(stacked, settings, progress[alive])
    for place, number in enumerate(alive):
        for name, value in reference(number, start, 6, progress.tolist()).items():
            np.testing.assert_allclose(stacked[name].detach()[place], value.detach(), rtol=2e-5, atol=1e-6)
