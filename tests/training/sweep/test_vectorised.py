"""Vectorised adapters compute what they compute one by one."""

import copy

import numpy as np
import pytest
import torch

from udta.adapters import ADAPTERS, PooledAdapter, build_adapter
from udta.training.sources import VECTORS
from udta.training.sweep._vectorised import Vectorised

TAPS = {"early": (6, 5, 5), "middle": (8, 3, 3), "last": (10,)}
STEPPED = [name for name, adapter in ADAPTERS.items() if not adapter.closed_form]


def features(seed, batch=7):
    generator = torch.Generator().manual_seed(seed)
    return {tap: torch.randn(batch, *shape, generator=generator) for tap, shape in TAPS.items()}


def inputs(adapter, taps):
    """What many such adapters read."""
    return {VECTORS: adapter.pool(taps)} if isinstance(adapter, PooledAdapter) else taps


def adapters(name, count=3):
    made = [build_adapter(name, TAPS, 4) for _ in range(count)]
    for adapter in made:  # zero layers would hide a difference
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def together(alone):
    return Vectorised([copy.deepcopy(adapter) for adapter in alone])


@pytest.mark.parametrize("name", STEPPED)
def test_logits_gradients_and_statistics_are_those_of_each_adapter(name):
    alone = adapters(name)
    many = together(alone)
    for seed in (1, 2):
        logits = many(inputs(alone[0], features(seed)), training=True)
        expected = torch.stack([adapter.train()(features(seed)) for adapter in alone])
        np.testing.assert_allclose(logits.detach(), expected.detach(), rtol=1e-4, atol=1e-4)
    logits.square().sum().backward()
    expected.square().sum().backward()
    for number, adapter in enumerate(alone):
        for key, parameter in adapter.named_parameters():
            np.testing.assert_allclose(many.parameters[key].grad[number], parameter.grad, rtol=1e-3, atol=1e-3)
        state = many.state(number)
        assert list(state) == list(adapter.state_dict())
        for key, value in adapter.state_dict().items():
            np.testing.assert_allclose(state[key], value, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        expected = torch.stack([adapter.eval()(features(3)) for adapter in alone])
        np.testing.assert_allclose(many(inputs(alone[0], features(3)), training=False), expected, rtol=1e-4, atol=1e-4)


def test_what_does_not_depend_on_an_adapter_is_there_once():
    many = together(adapters("udta"))
    assert many.buffers["probe.standardise.running_mean"].shape == (6 + 8 + 10 + 21 + 36,)
    ladder = together(adapters("ladder"))
    assert ladder.buffers["probe.standardise.running_mean"].shape == (10,)
    assert ladder.buffers["side.standardise.running_mean"].shape == (3, 64)


def test_some_can_be_dropped():
    alone = adapters("udta")
    many, read = together(alone), inputs(alone[0], features(1))
    before = many(read, training=False)
    many.pick([0, 2])
    np.testing.assert_allclose(many(read, training=False).detach(), before.detach()[[0, 2]], rtol=1e-5, atol=1e-6)
    assert torch.equal(many.state(1)["probe.classify.weight"], alone[2].probe.classify.weight)


def test_no_gradient_reaches_the_features():
    wanting = {tap: values.requires_grad_() for tap, values in features(0).items()}
    together(adapters("ladder"))(wanting, training=True).sum().backward()
    assert all(values.grad is None for values in wanting.values())
