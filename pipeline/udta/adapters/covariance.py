"""Second-order pooling: the matrix square root of a map's channel covariance along its principal directions.

Averages of a map throw away what fine-grained classes differ in; how channels vary together over an image keeps it. The square
root tames the large eigenvalues, and Newton-Schulz iterations give it with matrix products alone. The directions are fixed
before the first step of a training, so that the result is a constant of a sample.

Sources: Lin et al. 2015, "Bilinear CNN Models for Fine-grained Visual Recognition", arXiv 1504.07889; Li et al. 2018, "Towards
Faster Training of Global Covariance Pooling Networks by Iterative Matrix Square Root Normalization", arXiv 1712.01034.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from udta.errors import AdapterError

# Three steps suited directions that were learned throughout; fixed ones have fewer wrong images with five (docs/adapters.md).
STEPS = 5
EPSILON = 1e-5  # beside the variance of a channel, as in BatchNorm


def matrix_sqrt(a: Float[Tensor, "batch k k"], steps: int = STEPS) -> Float[Tensor, "batch k k"]:
    """Square roots of symmetric positive semi-definite matrices (Li et al. 2018, equations 2 to 5).

    The trace scales the eigenvalues into (0, 1], where the coupled iteration converges, and is put back at the end. The small
    eigenvalues converge last: few steps leave them too small rather than exact, which is part of the method. Five steps are 12
    products; docs/adapters.md compares them with three.
    """
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    # A map that does not vary has a trace of 0; the smallest normal number keeps its root 0 instead of NaN.
    trace = a.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(torch.finfo(a.dtype).tiny)[..., None, None]
    y = a / trace
    t = 1.5 * identity - 0.5 * y  # z is the identity at first: one product saved
    y, z = y @ t, t
    for step in range(1, steps):
        # 1.5 I - 0.5 Z Y in one call, without a matrix for the product.
        t = torch.baddbmm(identity, z, y, beta=1.5, alpha=-0.5)
        y = y @ t
        if step < steps - 1:  # of z the last step has no use: another product saved
            z = t @ z
    return y * trace.sqrt()


def thin_covariance(
    positions: Float[Tensor, "batch position channels"], reduction: Float[Tensor, "k channels"]
) -> Float[Tensor, "batch k k"]:
    """The covariance of thin channels, `reduction` times all channels, over the positions of a sample."""
    # Expanded, because a matrix times a batch of matrices copies the batch to transpose it: 4.2 ms instead of 2.4.
    thin = reduction.expand(positions.shape[0], -1, -1) @ positions.transpose(1, 2)
    thin.sub_(thin.mean(dim=2, keepdim=True))  # in place: a second array as large costs a twentieth of the whole
    return thin @ thin.transpose(1, 2) / positions.shape[1]


def upper_triangle(k: int) -> Int64[Tensor, " numbers"]:
    """Where the k (k + 1) / 2 numbers on and above the diagonal of a k x k matrix stand when it is flat."""
    row, column = torch.triu_indices(k, k)
    flat: Tensor = row * k + column
    return flat


def square_of_triangle(k: int) -> Int64[Tensor, "k k"]:
    """Where the numbers of a symmetric k x k matrix stand in its upper triangle: the inverse of `upper_triangle`."""
    triangle = upper_triangle(k)
    index = torch.zeros(k * k, dtype=torch.int64)
    index[triangle] = torch.arange(len(triangle))
    square = index.view(k, k)
    # Below the diagonal are zeros, above it numbers that are not negative: the larger one is the entry of both.
    return torch.maximum(square, square.T)


def products(positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "channels channels"]:
    """Of every two channels over the positions of a sample, each without its mean there, summed over all samples."""
    x = positions.transpose(1, 2)
    x = (x - x.mean(dim=2, keepdim=True)).transpose(0, 1).flatten(1)  # channels first: one product for all samples
    summed: Tensor = x @ x.T
    return summed


class WithinSample:
    """The covariance of channels over the positions of a sample, averaged over all samples; float64."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._n_positions = 0

    def add(self, positions: Float[Tensor, "batch position channels"]) -> None:
        """Some more samples."""
        self.add_products(products(positions), positions.shape[0] * positions.shape[1])

    def add_products(self, found: Float[Tensor, "channels channels"], n_positions: int) -> None:
        """Some more samples, given their `products` and how many positions they have in all."""
        # float64: a sum of float32 products over thousands of batches loses what the small eigenvalues are.
        self._sum = found.double() if self._sum is None else self._sum + found.double()
        self._n_positions += n_positions

    def covariance(self) -> Float[Tensor, "channels channels"]:
        """Of all that was added, on the CPU.

        Raises:
            AdapterError: that is nothing.
        """
        if self._sum is None:
            raise AdapterError("directions are found from training samples, and there is none")
        return self._sum.cpu() / self._n_positions

    def principal(self, width: int) -> Float[Tensor, "width channels"]:
        """The leading eigenvectors of the covariance of channels scaled to unit variance, times that scale; float32.

        A row's sign is whatever LAPACK gives: no linear layer that starts at zero depends on it.

        Raises:
            AdapterError: there was no sample.
        """
        covariance = self.covariance()
        # Channels differ in scale by what the backbone happens to do; unscaled, the loudest ones would be the directions.
        scale = (covariance.diagonal() + EPSILON).rsqrt()
        # `eigh` has eigenvalues in ascending order: flipped, the leading ones come first.
        directions: Tensor = torch.linalg.eigh(scale[:, None] * covariance * scale)[1].T.flip(0)[:width]
        return (directions * scale).float()


class CovariancePool(nn.Module):
    """Positions of a map -> thin -> covariance -> square root -> its upper triangle as a vector.

    `reduction` makes `width` thin channels out of all; until somebody copies directions there, it takes the first ones as they
    are. `n_features` is the length of the result, width (width + 1) / 2.
    """

    def __init__(self, n_channels: int, width: int) -> None:
        super().__init__()
        # Buffers, no parameters: found before the first step, and fixed, so that what is pooled is a constant of a sample.
        self.register_buffer("reduction", torch.eye(width, n_channels))
        self.register_buffer(
            "upper", upper_triangle(width), persistent=False
        )  # follows from the width: not in the file
        self.reduction: Tensor
        self.upper: Tensor
        self.n_features = len(self.upper)

    def covariance(self, positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "batch features"]:
        """The upper triangle before the square root."""
        return thin_covariance(positions, self.reduction).flatten(1).index_select(1, self.upper)

    def roots(self, covariances: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        """Of what `covariance` gave."""
        square = square_of_triangle(len(self.reduction)).to(covariances.device)
        return matrix_sqrt(covariances[:, square], STEPS).flatten(1).index_select(1, self.upper)

    def forward(self, positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "batch features"]:
        """One vector a sample."""
        root = matrix_sqrt(thin_covariance(positions, self.reduction), STEPS)
        return root.flatten(1).index_select(1, self.upper)
