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
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

STEPS = 3
MOMENTUM, EPSILON = 0.1, 1e-5  # as in BatchNorm


def matrix_sqrt(a: Float[Tensor, "batch k k"], steps: int = STEPS) -> Float[Tensor, "batch k k"]:
    """Square roots of symmetric positive semi-definite matrices (Li et al. 2018, equations 2 to 5).

    The trace scales the eigenvalues into (0, 1], where the coupled iteration converges, and is put back at the end. The small
    eigenvalues converge last: few steps leave them too small rather than exact, which is part of the method. A classifier does
    hardly tells three steps from five (docs/adapters.md), and three are 6 products instead of 12.
    """
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    trace = a.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(torch.finfo(a.dtype).tiny)[..., None, None]
    y = a / trace
    t = 1.5 * identity - 0.5 * y  # z is the identity at first: one product saved
    y, z = y @ t, t
    for step in range(1, steps):
        t = 1.5 * identity - 0.5 * (z @ y)
        y = y @ t
        if step < steps - 1:
            z = t @ z
    return y * trace.sqrt()


class CovariancePool(nn.Module):
    """Positions of a map -> thin -> covariance -> square root -> its upper triangle as a vector.

    Channels are scaled to unit variance within a sample (on average over the batch; a running average serves evaluation, as in
    BatchNorm), `width` directions of unit length are learned, and the covariance is taken over the positions of a sample.
    `n_features` is the length of the result, width (width + 1) / 2.
    """

    def __init__(self, n_channels: int, width: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(width, n_channels))
        nn.init.orthogonal_(self.directions)
        row, column = torch.triu_indices(width, width)
        self.register_buffer("variance", torch.ones(n_channels))
        self.register_buffer("upper", row * width + column, persistent=False)
        self.variance: Tensor
        self.upper: Tensor
        self.n_features = width * (width + 1) // 2

    def forward(self, positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "batch features"]:
        """One vector a sample."""
        n_positions, n_channels = positions.shape[1:]
        x = positions.transpose(1, 2)
        x = x - x.mean(dim=2, keepdim=True)
        # A narrow map is reduced behind its covariance, W (X X') W', which no gradient enters and which adapters on one batch
        # share; a wide one before it, (W X) (W X)': the same numbers from fewer products.
        narrow = 2 * n_channels <= n_positions
        moments = x @ x.transpose(1, 2) / n_positions if narrow else x
        weights = self._weights(moments.diagonal(dim1=1, dim2=2).mean(0) if narrow else x.square().mean(dim=(0, 2)))
        # Expanded, because a matrix times a batch of matrices copies the batch to transpose it: 4.2 ms instead of 2.4.
        thin = weights.expand(len(x), -1, -1) @ moments
        other = weights.T.expand(len(x), -1, -1) if narrow else thin.transpose(1, 2) / n_positions
        return matrix_sqrt(thin @ other).flatten(1).index_select(1, self.upper)

    def _weights(self, variance: Float[Tensor, " channels"]) -> Float[Tensor, "width channels"]:
        """Unit directions of channels that are scaled by the batch in training, by the running average otherwise."""
        if self.training:
            self.variance.mul_(1 - MOMENTUM).add_(MOMENTUM * variance)
        else:
            variance = self.variance
        return F.normalize(self.directions, dim=1) * (variance + EPSILON).rsqrt()
