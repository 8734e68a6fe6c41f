"""Mean and scale of features or targets."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def standardisation(
    x: Float[Tensor, "samples features"],
) -> tuple[Float[Tensor, " features"], Float[Tensor, " features"]]:
    """Mean and scale of every feature; the scale of a feature that never changes is 1."""
    # Relative to the mean: rounding leaves a constant feature a scale of about 1e-7 of it, which would be blown up to 1.
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0)
    return mean, torch.where(scale > 1e-6 * mean.abs().clamp_min(1e-6), scale, 1.0)
