"""Covariance pooling for a stack: the same values as `CovariancePool`, with less work for each adapter.

The second moments of a map know nothing of an adapter, so that a stack computes them once. What is left, the square root of
W M W^T and its derivative, is written out here adapter by adapter: one adapter's matrices (1 MB for 64 samples of 64 x 64) stay
in the cache, and nothing is allocated and added up that automatic differentiation would.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from udta.adapters.covariance import STEPS, CovariancePool


class SharedCovariancePool(CovariancePool):
    """A `CovariancePool` inside of a `Stack`; see `share_covariances`."""

    def forward(self, positions: Float[Tensor, "batch position channels"]) -> Float[Tensor, "batch features"]:
        """One vector a sample."""
        n_positions, n_channels = positions.shape[1:]
        # Not where adapters have inputs of their own, nor where the pool reduces the map before its covariance.
        if torch._C._functorch.is_batchedtensor(positions) or 2 * n_channels > n_positions:
            return super().forward(positions)
        x = positions.transpose(1, 2)
        x = x - x.mean(dim=2, keepdim=True)
        moments = x @ x.transpose(1, 2) / n_positions
        weights = self._weights(moments.diagonal(dim1=1, dim2=2).mean(0))
        pooled: Tensor = _RootOfThin.apply(weights, moments, self.upper)[0]
        return pooled


def share_covariances(module: nn.Module) -> None:
    """Let every `CovariancePool` in a module compute as a `SharedCovariancePool`; parameters and buffers stay as they are."""
    for part in module.modules():
        if type(part) is CovariancePool:
            part.__class__ = SharedCovariancePool


class _RootOfThin(torch.autograd.Function):
    """Weights `[adapters, k, C]`, moments `[batch, C, C]` -> upper triangles of sqrt(W M W^T), `[adapters, batch, n]`.

    The moments are data and get no gradient. What follows the result is kept for the backward pass. Only ever called under
    `vmap`, whose rule puts the adapters first.
    """

    @staticmethod
    def forward(weights: Tensor, moments: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        roots, kept = zip(*(_root(own, moments) for own in weights), strict=True)
        vectors = torch.stack([root.flatten(1).index_select(1, upper) for root in roots])
        return vectors, *(tensor for own in kept for tensor in own)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs[2], *output[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        upper, *kept = ctx.saved_tensors
        each = len(kept) // len(gradients[0])
        own = [
            _root_gradient(_symmetric(vectors, upper, kept[0].shape[1]), *kept[number * each : (number + 1) * each])
            for number, vectors in enumerate(gradients[0])
        ]
        return torch.stack(own), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, Any]:
        weights, moments, upper = inputs
        results = _RootOfThin.apply(weights.movedim(in_dims[0] or 0, 0), moments, upper)
        return results, (0, *[None] * (len(results) - 1))


def _root(weights: Tensor, moments: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """sqrt(W M W^T) of every sample, as `matrix_sqrt` has it, and what its derivative needs.

    That is W M, the trace, A = W M W^T over its trace, the first t, then y, z and t of every further step, and the root of A.
    """
    thin = weights.expand(len(moments), -1, -1) @ moments
    a = thin @ weights.T
    trace = a.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(torch.finfo(a.dtype).tiny)[:, None, None]
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    y = a.div_(trace)
    t = torch.sub(1.5 * identity, y, alpha=0.5)
    kept = [y, t]
    y, z = y @ t, t
    for step in range(1, STEPS):
        t = torch.baddbmm(identity, z, y, beta=1.5, alpha=-0.5)
        kept += [y, z, t]
        y, z = y @ t, (t @ z if step < STEPS - 1 else z)
    return y * trace.sqrt(), (thin, trace, *kept, y)


def _root_gradient(gradient: Tensor, thin: Tensor, trace: Tensor, a: Tensor, t0: Tensor, *kept: Tensor) -> Tensor:
    """The gradient of the weights `[k, C]` from a symmetric one of the root.

    `kept` is y, z and t of every further step, then the root of A. All matrices are symmetric: no transpose appears.
    """
    *steps, root = kept
    gy = gradient * trace.sqrt()
    gz: Tensor | None = None
    for y, z, t in zip(steps[-3::-3], steps[-2::-3], steps[-1::-3], strict=True):
        gt = y @ gy
        if gz is None:
            gz = torch.bmm(gt, y).mul_(-0.5)
        else:
            gt.baddbmm_(gz, z)
            gz = torch.baddbmm(t @ gz, gt, y, alpha=-0.5)
        gy = torch.baddbmm(gy @ t, z, gt, alpha=-0.5)
    gt = a @ gy
    if gz is not None:
        gt += gz
    ga = (gy @ t0).sub_(gt, alpha=0.5)
    along = (gradient * root).sum((1, 2), keepdim=True) * 0.5 / trace.sqrt() - (ga * a).sum(
        (1, 2), keepdim=True
    ) / trace
    gs = ga.div_(trace)
    gs.diagonal(dim1=-2, dim2=-1).add_(along[:, :, 0])
    gs = gs + gs.transpose(1, 2)
    return gs.transpose(0, 1).flatten(1) @ thin.flatten(0, 1)


def _symmetric(vectors: Float[Tensor, "batch n"], upper: Tensor, k: int) -> Float[Tensor, "batch k k"]:
    """Upper triangles as the symmetric matrices of which each holds half."""
    full = vectors.new_zeros(len(vectors), k * k).index_copy_(1, upper, vectors).view(-1, k, k)
    return (full + full.transpose(1, 2)).div_(2)
