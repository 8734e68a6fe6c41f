"""Principal axes of standardised numbers, from a covariance that is summed block by block, and what rows are along them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from udta.adapters.standardisation import standardisation

_BLOCK = 4096  # rows of a product
# What is added to variances along axes, which are 1 in the mean: what varies less is noise of a copy rather than another image.
# Of 0.01, 0.1 and 1 it put most planted copies of five sets before all other pairs; 1 put fewest.
_FLOOR = 0.1


def principal(x: Float[Tensor, "rows numbers"], most: int) -> Float[Tensor, "rows axes"]:
    """Standardised numbers along their first principal axes, at most `most`, the widest first; changes `x`.

    The sign of an axis is that with which its largest weight is positive.
    """
    *_, axes = _standardise_and_find_axes(x)
    axes = axes.flip(1)[:, :most]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    axes = (axes * torch.where(largest < 0, -1.0, 1.0)).float()
    return torch.cat([block @ axes for block in _blocks(x)])


def whitened_directions(x: Float[Tensor, "rows numbers"]) -> Iterator[Float[Tensor, "block numbers"]]:
    """Unit vectors of numbers that all weigh alike, block by block; changes `x`.

    What images of a kind have in common varies along few wide axes, and hides in a plain cosine what only one photograph has.
    """
    *_, variances, axes = _standardise_and_find_axes(x)
    scaled = (axes / (variances + _FLOOR).sqrt()).float()
    for block in _blocks(x):
        yield torch.nn.functional.normalize(block @ scaled, dim=1)


def whitening(
    x: Float[Tensor, "rows numbers"],
) -> tuple[Float[Tensor, " numbers"], Float[Tensor, "numbers numbers"]]:
    """The mean, and the matrix that makes numbers without it weigh alike, for other rows than these; changes `x`."""
    mean, scale, variances, axes = _standardise_and_find_axes(x)
    return mean, (axes / (variances + _FLOOR).sqrt()).float() / scale[:, None]


def _standardise_and_find_axes(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, scale, variances in ascending order and their axes, these two in float64; what never varies is left at zero."""
    mean, scale = standardisation(x)
    x.sub_(mean).div_(scale)
    covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for block in _blocks(x):
        covariance += block.T @ block  # float32 within a block, float64 over all of them
    variances, axes = torch.linalg.eigh(covariance / len(x))
    return mean, scale, variances.clamp_min(0), axes


def _blocks(x: Tensor) -> tuple[Tensor, ...]:
    return torch.split(x, _BLOCK)
