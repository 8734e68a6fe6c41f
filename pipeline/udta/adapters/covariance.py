"""Second-order pooling: the matrix square root of a map's channel covariance.

Averages of a map throw away what fine-grained classes differ in; how channels vary together over an image keeps it. The square
root tames the large eigenvalues, and Newton-Schulz iterations give it with matrix products alone.

Sources: Lin et al. 2015, "Bilinear CNN Models for Fine-grained Visual Recognition", arXiv 1504.07889; Li et al. 2018, "Towards
Faster Training of Global Covariance Pooling Networks by Iterative Matrix Square Root Normalization", arXiv 1712.01034.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

STEPS = 5
_RIDGE = 1e-5


def matrix_sqrt(a: Float[Tensor, "batch k k"], steps: int = STEPS) -> Float[Tensor, "batch k k"]:
    """Square roots of symmetric positive semi-definite matrices (Li et al. 2018, equations 2 to 5).

    The trace scales the eigenvalues into (0, 1], where the coupled iteration converges, and is put back at the end. The small
    eigenvalues converge last: five steps leave them too large rather than exact, which is part of the method.
    """
    k = a.shape[-1]
    identity = torch.eye(k, dtype=a.dtype, device=a.device)
    trace = a.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(torch.finfo(a.dtype).tiny)[:, None, None]
    y, z = a / trace + _RIDGE * identity, identity.expand_as(a)
    for step in range(steps):
        t = 1.5 * identity - 0.5 * (z @ y if step else y)  # z is the identity at first: one product saved
        y = y @ t
        if step < steps - 1:
            z = t @ z if step else t
    return y * trace.sqrt()


class CovariancePool(nn.Module):
    """Positions of a map -> thin -> covariance -> square root -> its upper triangle as a vector.

    BatchNorm -> linear to `width` channels -> BatchNorm, then the covariance over positions; `n_features` is the length of
    the result, width (width + 1) / 2.
    """

    def __init__(self, n_channels: int, width: int) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(n_channels, affine=False)
        self.reduce = nn.Linear(n_channels, width, bias=False)
        nn.init.orthogonal_(self.reduce.weight)
        self.normalise = nn.BatchNorm1d(width)
        self.register_buffer("upper", torch.triu_indices(width, width), persistent=False)
        self.upper: Tensor
        self.n_features = width * (width + 1) // 2

    def forward(self, positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "batch features"]:
        """One vector a sample."""
        thin = self.normalise(self.reduce(self.standardise(positions.flatten(0, 1))))
        thin = thin.unflatten(0, positions.shape[:2])
        centred = thin - thin.mean(dim=1, keepdim=True)
        covariance = centred.transpose(1, 2) @ centred / positions.shape[1]
        return matrix_sqrt(covariance)[:, self.upper[0], self.upper[1]]
