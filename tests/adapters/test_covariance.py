"""Second-order pooling against eigendecompositions."""

import numpy as np
import pytest
import torch

from udta.adapters.covariance import EPSILON, CovariancePool, WithinSample, matrix_sqrt
from udta.errors import AdapterError


def random_covariance(k, positions, seed=0):
    x = torch.randn(3, positions, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.transpose(1, 2) @ x / positions


@pytest.mark.parametrize("k", [2, 8, 32])
def test_many_steps_give_the_square_root(k):
    a = random_covariance(k, 4 * k)
    root = matrix_sqrt(a, steps=25)
    np.testing.assert_allclose(root @ root, a, rtol=1e-3, atol=1e-3)
    values, vectors = torch.linalg.eigh(a)
    np.testing.assert_allclose(root, vectors * values.sqrt()[:, None] @ vectors.transpose(1, 2), atol=1e-2)


def test_five_steps_are_exact_for_the_large_eigenvalues_three_within_a_tenth():
    a = torch.diag_embed(torch.tensor([[1.0, 0.5, 0.25]]))
    np.testing.assert_allclose(matrix_sqrt(a, steps=5)[0].diagonal(), np.sqrt([1.0, 0.5, 0.25]), rtol=1e-3)
    np.testing.assert_allclose(matrix_sqrt(a, steps=3)[0].diagonal(), np.sqrt([1.0, 0.5, 0.25]), rtol=0.1)


def test_is_homogeneous_and_finite_at_zero():
    a = random_covariance(4, 16)
    np.testing.assert_allclose(matrix_sqrt(100 * a), 10 * matrix_sqrt(a), rtol=1e-8)
    assert torch.isfinite(matrix_sqrt(torch.zeros(1, 4, 4))).all()


def narrow(positions, reduction):
    """The equations one sample at a time."""
    row, column = torch.triu_indices(len(reduction), len(reduction))
    thin = positions @ reduction.T
    return torch.stack([matrix_sqrt(torch.cov(sample.T, correction=0)[None])[0][row, column] for sample in thin])


@pytest.mark.parametrize("positions", [5, 20])
def test_pooling_is_the_root_of_the_covariance_of_thin_channels(positions):
    torch.manual_seed(0)
    pool, x = CovariancePool(6, 4).double(), 5 * torch.randn(8, positions, 6, dtype=torch.float64) + 2
    pool.reduction.copy_(torch.randn(4, 6))
    torch.testing.assert_close(pool(x), narrow(x, pool.reduction), rtol=1e-6, atol=1e-6)


def test_directions_are_the_principal_ones_of_scaled_channels():
    """Against numpy, on batches of two sizes; the sign of a direction is free."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 20, 6)) @ rng.standard_normal((6, 6)) * [1, 10, 0.1, 3, 1, 1] + 5
    covariance = np.mean([np.cov(sample.T, bias=True) for sample in x], axis=0)
    scale = 1 / np.sqrt(covariance.diagonal() + EPSILON)
    values, vectors = np.linalg.eigh(scale[:, None] * covariance * scale)
    expected = vectors[:, np.argsort(-values)[:4]].T * scale
    within = WithinSample()
    within.add(torch.tensor(x[:4], dtype=torch.float32))
    within.add(torch.tensor(x[4:], dtype=torch.float32))
    found = within.principal(4).double().numpy()
    signs = np.sign((found * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(signs * found, expected, rtol=1e-3, atol=1e-3)


def test_thin_channels_are_uncorrelated_on_average_and_the_first_ones_vary_most():
    torch.manual_seed(0)
    x = torch.randn(30, 50, 8) @ torch.randn(8, 8)
    within = WithinSample()
    within.add(x)
    thin = x @ within.principal(8).T
    mean = torch.stack([torch.cov(sample.T, correction=0) for sample in thin]).mean(0)
    assert (mean - torch.diag(mean.diagonal())).abs().max() < 1e-4
    assert (mean.diagonal().diff() < 1e-5).all()
    assert mean.diagonal().sum() == pytest.approx(8, rel=1e-3)  # channels of variance one


def test_channels_that_never_change_do_no_harm():
    within, x = WithinSample(), torch.randn(4, 9, 5)
    x[..., 2] = 7
    within.add(x)
    assert torch.isfinite(within.principal(5)).all()


def test_there_are_no_directions_of_nothing():
    with pytest.raises(AdapterError, match="there is none"):
        WithinSample().principal(3)


def test_pooling_ignores_the_order_of_positions_and_the_mean():
    torch.manual_seed(0)
    pool = CovariancePool(6, 4)
    x = torch.randn(2, 9, 6)
    result = pool(x)
    assert result.shape == (2, pool.n_features) == (2, 10)
    np.testing.assert_allclose(pool(x[:, torch.randperm(9)]), result, atol=1e-5)
    np.testing.assert_allclose(pool(x + 3), result, atol=1e-4)
