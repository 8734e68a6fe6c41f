"""Ridge regression for every regularisation at once, with exact predictions of the images that a fit leaves out.

One eigendecomposition of the Gram matrix serves every regularisation. With the hat matrix H of a fit, the residuals of an
image's views in the fit without that image are (I - H_ii)^-1 r_i, where r_i are their residuals in the fit with it and H_ii is
their block of H: the block form of the leave-one-out formula (Golub, Heath and Wahba 1979, "Generalized Cross-Validation as a
Method for Choosing a Good Ridge Parameter"). Views of one image are left out together, because each would give the others away.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta.adapters.samples import views_of_images


class RidgePath:
    """The minimisers of mean |y - x b - c|^2 + alpha |b|^2 (b, c: weights and an unpenalised offset) for any alpha.

    Args:
        x: features, float64, of mean zero.
        y: targets.
        images: which image each sample is a view of, ascending.
    """

    def __init__(
        self,
        x: Float[Tensor, "samples features"],
        y: Float[Tensor, "samples targets"],
        images: Int64[Tensor, " samples"],
    ) -> None:
        self._n = len(x)
        self._offset = y.mean(dim=0)
        self._residual = y - self._offset
        self._eigenvalues, self._vectors, self._rotated = principal_axes(x, x)
        self._moments = self._rotated.T @ self._residual
        self._counts = views_of_images(images)

    def linear(self, alpha: float) -> tuple[Float[Tensor, "features targets"], Float[Tensor, " targets"]]:
        """The weights b, and the offset c, which is the mean of the targets."""
        return self._vectors @ (self._moments * self._shrinkage(alpha)[:, None]), self._offset

    def left_out(self, alpha: float) -> Float[Tensor, "samples targets"]:
        """Predictions of each sample by the fit to all images but its own."""
        shrinkage = self._shrinkage(alpha)
        residual = self._residual - self._rotated @ (self._moments * shrinkage[:, None])
        left_out = torch.empty_like(residual)
        starts = self._counts.cumsum(0) - self._counts
        # Images with the same number of views are solved in one batch; usually all of them.
        for n_views in sorted(set(self._counts.tolist())):
            index = starts[self._counts == n_views][:, None] + torch.arange(n_views, device=starts.device)
            views = self._rotated[index]
            hat = (views * shrinkage) @ views.transpose(1, 2) + 1 / self._n  # the constant is the offset's share
            identity = torch.eye(n_views, dtype=hat.dtype, device=hat.device)
            left_out[index] = torch.linalg.solve(identity - hat, residual[index])
        return self._residual + self._offset - left_out

    def _shrinkage(self, alpha: float) -> Float[Tensor, " features"]:
        shrinkage: Tensor = 1 / (self._eigenvalues + self._n * alpha)
        return shrinkage


def principal_axes(
    x: Float[Tensor, "samples features"], of: Float[Tensor, "samples features"]
) -> tuple[Float[Tensor, " axes"], Float[Tensor, "features axes"], Float[Tensor, "samples axes"]]:
    """Eigenvalues and eigenvectors of the Gram matrix of `of`, whose rows lie in the span of those of `x`, and `x` along them."""
    # Views make samples many times as many as images, so features are usually fewer. Where they are not, as with a few images a
    # class, nothing lies outside the span of the samples, and an eigendecomposition costs the cube.
    span = torch.linalg.qr(x.T).Q if x.shape[0] < x.shape[1] else None
    if span is not None:
        x, of = x @ span, (x @ span if of is x else of @ span)
    eigenvalues, vectors = torch.linalg.eigh(of.T @ of)
    # Rounding makes the zeros of dependent features negative.
    return eigenvalues.clamp_min(0), vectors if span is None else span @ vectors, x @ vectors
