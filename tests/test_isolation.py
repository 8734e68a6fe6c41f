"""Nothing that training does reaches a backbone: no gradient, no byte, and features that could not carry one."""

import pytest
import torch
from toy import ToyNet

import udta
from udta import trainer
from udta.adapters import ADAPTERS, Adapter

INPUTS = []


@pytest.fixture
def backbone():
    """As `extract` made the store from: alive in the process while adapters are trained."""
    return ToyNet().eval().requires_grad_(False)


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_training_leaves_every_byte_of_the_backbone(monkeypatch, backbone, toy_store, tmp_path, name):
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    inputs, forward = [], Adapter.forward

    def watched(self, features):
        inputs.extend(features.values())
        return forward(self, features)

    monkeypatch.setattr(Adapter, "forward", watched)
    recipe = {} if ADAPTERS[name].closed_form else {"epochs": 3, "batch_size": 8, "mixup": 0.2}
    udta.train(toy_store, out=tmp_path / "run", adapter=name, recipe=recipe)
    assert inputs
    assert not any(values.requires_grad or values.grad_fn is not None for values in inputs)
    assert backbone.state_dict().keys() == before.keys()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value.reshape(-1).view(torch.uint8), before[key].reshape(-1).view(torch.uint8)), key
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in backbone.parameters())
