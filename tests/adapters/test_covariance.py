"""Second-order pooling against eigendecompositions."""

import numpy as np
import pytest
import torch

from udta.adapters.covariance import CovariancePool, matrix_sqrt


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
    np.testing.assert_allclose(matrix_sqrt(a)[0].diagonal(), np.sqrt([1.0, 0.5, 0.25]), rtol=0.1)


def test_is_homogeneous_and_finite_at_zero():
    a = random_covariance(4, 16)
    np.testing.assert_allclose(matrix_sqrt(100 * a), 10 * matrix_sqrt(a), rtol=1e-8)
    zero = torch.zeros(1, 4, 4, requires_grad=True)
    matrix_sqrt(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_gradient_matches_finite_differences():
    a = random_covariance(3, 12).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: matrix_sqrt((x + x.transpose(1, 2)) / 2), (a,))


@pytest.mark.parametrize("positions", [5, 20])  # a wide map and a narrow one
def test_pooling_is_the_root_of_the_covariance_of_unit_directions_of_scaled_channels(positions):
    torch.manual_seed(0)
    pool = CovariancePool(6, 4).double()
    pool.directions.data *= 3  # their length is taken out
    x = 5 * torch.randn(8, positions, 6, dtype=torch.float64) + 2
    scale = torch.stack([torch.cov(sample.T, correction=0).diagonal() for sample in x]).mean(0).sqrt()
    thin = x / scale @ torch.nn.functional.normalize(pool.directions, dim=1).T
    row, column = torch.triu_indices(4, 4)
    roots = torch.stack([matrix_sqrt(torch.cov(sample.T, correction=0)[None])[0][row, column] for sample in thin])
    torch.testing.assert_close(pool(x), roots, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(roots)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), pool.directions)[0] for y in (pool(x), roots))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_evaluation_scales_by_the_running_variance():
    torch.manual_seed(0)
    pool, x = CovariancePool(6, 4), 2 * torch.randn(32, 20, 6)
    for _ in range(100):
        trained = pool(x)
    torch.testing.assert_close(pool.eval()(x), trained, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(pool.eval()(x[:1]), trained[:1], rtol=1e-3, atol=1e-4)  # alone as among others


def test_pooling_ignores_the_order_of_positions_and_the_mean():
    torch.manual_seed(0)
    pool = CovariancePool(6, 4).eval()
    x = torch.randn(2, 9, 6)
    result = pool(x)
    assert result.shape == (2, pool.n_features) == (2, 10)
    np.testing.assert_allclose(pool(x[:, torch.randperm(9)]).detach(), result.detach(), atol=1e-5)
    np.testing.assert_allclose(pool(x + 3).detach(), result.detach(), atol=1e-4)
