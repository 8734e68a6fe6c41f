"""How the learning rate goes in a training."""

from __future__ import annotations

import math

WARM_UP, START = 0.2, 0.04


def one_cycle(progress: float) -> float:
    """The learning rate as a fraction of its peak, at `progress` from 0 to 1: a rise over the first fifth, then a cosine to 0.

    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120, with a cosine as in most implementations.
    """
    if progress < WARM_UP:
        return START + (1 - START) * progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))
