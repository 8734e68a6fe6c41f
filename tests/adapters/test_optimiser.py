"""The optimiser of many adapters against `torch.optim.AdamW` and `clip_grad_norm_`, adapter by adapter."""

import numpy as np
import pytest
import torch

from udta.adapters import Recipe
from udta.adapters.optimiser import Optimiser, one_cycle

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
    progress = [0.5, 1.0, 0.1]
    together = {name: value.clone().requires_grad_() for name, value in start.items()}
    recipes = [Recipe(epochs=1, lr=lr, weight_decay=decay, clip=clip) for lr, decay, clip in SETTINGS]
    optimiser = Optimiser(together, recipes, vectorised=True)
    alive = [0, 1, 2]
    for step in range(6):
        if step == 4:
            alive = [0, 2]
            together = {name: value.detach()[alive].requires_grad_() for name, value in together.items()}
            optimiser.pick(alive, together)
        for name, value in together.items():
            value.grad = gradients(step)[name][alive].clone()
        optimiser.step([progress[number] for number in alive])
    shares = [one_cycle(each) for each in progress]
    for row, number in enumerate(alive):
        for name, value in reference(number, start, 6, shares).items():
            np.testing.assert_allclose(together[name].detach()[row], value.detach(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("clip", [0.05, 1e9])
def test_of_one_adapter_it_is_torch_to_the_bit(clip):
    """What `train` wrote while it used `torch.optim.AdamW(fused=True)` and `clip_grad_norm_`, it writes still."""
    start = {name: value[0] for name, value in gradients(1000).items()}
    alone, theirs = ({name: value.clone().requires_grad_() for name, value in start.items()} for _ in range(2))
    recipe = Recipe(epochs=1, lr=1e-2, weight_decay=0.3, clip=clip)
    optimiser = Optimiser(alone, [recipe])
    groups = [
        {"params": [value for value in theirs.values() if value.ndim > 1], "weight_decay": 0.3},
        {"params": [value for value in theirs.values() if value.ndim <= 1], "weight_decay": 0.0},
    ]
    expected = torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
    for step in range(6):
        for name, value in gradients(step).items():
            alone[name].grad, theirs[name].grad = value[0].clone(), value[0].clone()
        for group in expected.param_groups:
            group["lr"] = recipe.lr * one_cycle(step / 6)
        torch.nn.utils.clip_grad_norm_(theirs.values(), clip)
        expected.step()
        optimiser.step([step / 6])
    for name, value in theirs.items():
        assert torch.equal(alone[name], value), name
