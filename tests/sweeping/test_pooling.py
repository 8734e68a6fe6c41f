"""The shared covariance pool of a stack against the pools that it stands for."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from udta.adapters.covariance import CovariancePool
from udta.sweeping.pooling import SharedCovariancePool, share_covariances


@pytest.mark.parametrize("positions", [30, 4])  # fewer than channels: nothing is shared then
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_each_pool(positions, training):
    torch.manual_seed(0)
    pools = [CovariancePool(6, width).train(training) for width in (5, 5, 5)]
    x = torch.randn(7, positions, 6)
    shared = copy.deepcopy(pools[0])
    share_covariances(shared)
    assert type(shared) is SharedCovariancePool
    parameters, buffers = stack_module_state(pools)
    parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    own = {name: value[0].clone() for name, value in buffers.items()}

    def run(values):
        return functional_call(shared, (values, own), (x,))

    found = vmap(run)(parameters)
    weights = torch.randn(found.shape)
    (found * weights).sum().backward()
    for number, pool in enumerate(pools):
        expected = pool(x)
        (expected * weights[number]).sum().backward()
        np.testing.assert_allclose(found[number].detach(), expected.detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(parameters["directions"].grad[number], pool.directions.grad, rtol=1e-3, atol=1e-5)
