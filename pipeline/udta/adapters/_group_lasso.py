"""Which features matter: least squares with a penalty that switches a feature off for all classes at once.

Minimises |y - x b|^2 / (2 n) + strength * max_i |x_i' y / n| * sum_i |b_i| over b, where b_i is the row of weights of feature i
(Yuan and Lin 2006, "Model Selection and Estimation in Regression with Grouped Variables"; the L2,1 norm of Head2Toe). At
strength 1 every row is zero. Solved by accelerated proximal gradient (Beck and Teboulle 2009, FISTA), from second moments alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Fixed numbers instead of a tolerance: a result that depends on nothing but its input.
_STEPS = 100
_POWER_STEPS = 30
_MARGIN = 1.05  # power iteration approaches the largest eigenvalue from below


def group_lasso(
    x: Float[Tensor, "samples features"], y: Float[Tensor, "samples targets"], strength: float, steps: int = _STEPS
) -> Float[Tensor, "features targets"]:
    """The weights; x and y have mean zero."""
    gram, moments = x.T @ x / len(x), x.T @ y / len(x)
    # A longer step than one over the largest curvature diverges.
    step = 1 / (_MARGIN * _largest_eigenvalue(gram))
    threshold = step * strength * moments.norm(dim=1).max()
    weights = ahead = torch.zeros_like(moments)
    momentum = 1.0
    for _ in range(steps):
        moved = ahead + step * (moments - gram @ ahead)
        norms = moved.norm(dim=1, keepdim=True)
        shrunk = moved * (1 - threshold / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_min(0)
        # The momentum of FISTA: its error falls with the square of the number of steps, without it only with the number.
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = shrunk + (momentum - 1) / following * (shrunk - weights)
        weights, momentum = shrunk, following
    return weights


def _largest_eigenvalue(gram: Float[Tensor, "features features"]) -> Float[Tensor, ""]:
    # Not random: the same features give the same selection. The sum of all columns is hardly ever orthogonal to the eigenvector.
    vector = gram.sum(dim=1)
    for _ in range(_POWER_STEPS):
        vector = gram @ (vector / vector.norm().clamp_min(torch.finfo(gram.dtype).tiny))
    largest: Tensor = vector.norm().clamp_min(torch.finfo(gram.dtype).eps)
    return largest
