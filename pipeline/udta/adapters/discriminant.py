"""Gaussians of one covariance for every regularisation at once, with exact predictions of the images that a fit leaves out.

The score of a class with mean m is x P m - m P m / 2, where P = (S + alpha I)^-1 and S is the covariance within classes: what is
left of the log-density where the terms that all classes share are dropped. One eigendecomposition of S serves every alpha.

Let D be the views of an image, as rows, less the mean m of its class, which has N of the n samples. Without that image, S loses
D' B D / n, where B = (I - 11' / N)^-1, and m loses D' 1 / (N - rows of D). So what P becomes needs one inverse as large as an
image has views (Woodbury), and every product with it is made of products with the old P.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta.adapters.least_squares import principal_axes
from udta.adapters.samples import views_of_images


class GaussianPath:
    """Scores of classes that differ in their means alone, for any alpha that is added to the variances.

    A class of which there is nothing has the mean of all samples.

    Args:
        x: features, float64, of mean zero.
        labels: the class of each sample.
        images: which image each sample is a view of, ascending.
        n_classes: how many classes there are.
    """

    def __init__(
        self,
        x: Float[Tensor, "samples features"],
        labels: Int64[Tensor, " samples"],
        images: Int64[Tensor, " samples"],
        n_classes: int,
    ) -> None:
        self._labels = labels
        self._sizes = torch.bincount(labels, minlength=n_classes).to(x.dtype)
        means = class_means(x, labels, self._sizes)
        total, self._vectors, self._rotated = principal_axes(x, x - means[labels])
        self._eigenvalues, self._means = total / len(x), means @ self._vectors
        self._counts = views_of_images(images)

    def linear(self, alpha: float) -> tuple[Float[Tensor, "features classes"], Float[Tensor, " classes"]]:
        """What features are multiplied with, and what is added."""
        scaled = self._means / (self._eigenvalues + alpha)
        return self._vectors @ scaled.T, -(scaled * self._means).sum(dim=1) / 2

    def left_out(self, alpha: float) -> Float[Tensor, "samples classes"]:
        """Scores of each sample by the fit to all images but its own."""
        precision = 1 / (self._eigenvalues + alpha)
        scaled = self._means * precision
        found = torch.empty_like(self._rotated[:, :1]).repeat(1, len(scaled))
        starts = self._counts.cumsum(0) - self._counts
        # Images with the same number of views in one batch; usually all of them.
        for n_views in sorted(set(self._counts.tolist())):
            index = starts[self._counts == n_views][:, None] + torch.arange(n_views, device=starts.device)
            x = self._rotated[index]
            found[index] = self._without(
                self._labels[index[:, 0]], (x * precision) @ x.transpose(1, 2), x @ scaled.T, scaled @ self._means.T
            )
        return found

    def _without(
        self,
        own: Int64[Tensor, " images"],
        xx: Float[Tensor, "images views views"],
        xm: Float[Tensor, "images views classes"],
        mm: Float[Tensor, "classes classes"],
    ) -> Float[Tensor, "images views classes"]:
        """Scores of images by the fits without them, from products by P of samples and class means with one another."""
        n_views, rest = xx.shape[1], (self._sizes[own] - xx.shape[1])[:, None]
        column = own[:, None, None].expand(-1, n_views, 1)
        x_own, own_own = xm.gather(2, column)[..., 0], mm.diagonal()[own][:, None]
        dx = xx - x_own[:, None, :]
        dd = dx - (x_own - own_own)[:, :, None]
        # The class goes on with the mean of the others in it; where there is none, with that of all, which is zero.
        share = torch.where(rest > 0, 1 / rest.clamp_min(1), 0)
        stays = (rest > 0).to(xx.dtype)
        x_mean = stays * (x_own - share * dx.sum(dim=1))
        d_mean = stays * (x_own - own_own - share * dd.sum(dim=2))
        sums = 2 * (x_own - own_own).sum(dim=1, keepdim=True), dd.sum(dim=(1, 2))[:, None]
        mean_mean = stays * (own_own - share * sums[0] + share**2 * sums[1])
        dm = (xm - mm[own][:, None, :]).scatter(2, column, d_mean[..., None])
        xm = xm.scatter(2, column, x_mean[..., None])
        means = mm.diagonal().expand(len(own), -1).scatter(1, own[:, None], mean_mean)
        # The inverse of B. Of a class that was this image alone D has columns of sum zero, and B is the identity to it.
        inner = torch.eye(n_views, dtype=xx.dtype, device=xx.device) - (stays / self._sizes[own][:, None])[:, :, None]
        solved = torch.linalg.solve(len(self._labels) * inner - dd, dm)
        scores: Tensor = xm + dx.transpose(1, 2) @ solved - (means + (dm * solved).sum(dim=1))[:, None, :] / 2
        return scores


def class_means(
    x: Float[Tensor, "samples features"], labels: Int64[Tensor, " samples"], sizes: Float[Tensor, " classes"]
) -> Float[Tensor, "classes features"]:
    """The mean of each class; zero where nothing is of it."""
    sums = torch.zeros(len(sizes), x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, labels, x)
    return sums / sizes.clamp_min(1)[:, None]
