"""How well the maps of two images lie upon each other: what tells a copy from another photograph of the same flower.

The second look at pairs that are alike already, as image retrieval verifies candidates by geometry (Philbin et al. 2007, "Object
retrieval with large vocabularies and fast spatial matching"). Channels are whitened over the positions of the set; the alignment
is the mean cosine over positions, the best of the two images as they are, one of them mirrored, and one of them zoomed in by a
tenth. Each position counts where it is and not beside: with neighbours of a position allowed, other frames of a scene came close
to copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, Int64
from torch import Tensor

from udta.inspection._axes import whitening
from udta.store import Store

# What 5 % off each side leaves; a copy that is cropped by half of that is as near to this as to the whole.
_ZOOM = 0.9
_SAMPLED = 512  # images whose positions say how channels vary
_MAPS_BYTES = 64 << 20  # of one side of the pairs that are compared at a time, float32


def alignments(store: Store, pairs: Sequence[tuple[int, int]]) -> Float[Tensor, " pairs"] | None:
    """The mean over taps that are maps, between -1 and 1; None where the store has no such tap.

    Args:
        store: the store.
        pairs: two rows each.
    """
    maps = [tap for tap in store.taps.values() if len(tap.shape) == 3 and min(tap.shape[1:]) > 1]
    if not maps:
        return None
    total = torch.zeros(len(pairs))
    for tap in maps:
        mean, matrix = whitening(_positions(store, tap.name))
        size = max(1, _MAPS_BYTES // (4 * int(np.prod(tap.shape))))
        for start in range(0, len(pairs), size):
            sides = np.array(pairs[start : start + size]).T
            first, second = (_unit_maps(store, rows, tap.name, mean, matrix) for rows in sides)
            total[start : start + size] += _aligned(first, second)
    return total / len(maps)


def _positions(store: Store, tap: str) -> Float[Tensor, "positions channels"]:
    rows = store.rows()
    some = np.sort(np.random.default_rng(0).permutation(rows)[:_SAMPLED])
    return _maps(store, some, tap).permute(0, 2, 3, 1).flatten(0, 2)


def _maps(store: Store, rows: Int64[np.ndarray, " rows"], tap: str) -> Float[Tensor, "rows channels height width"]:
    unique, where = np.unique(rows, return_inverse=True)
    return torch.from_numpy(store.read(unique, [tap], [0], dtype="float32")[tap][:, 0][where])


def _unit_maps(
    store: Store,
    rows: Int64[np.ndarray, " rows"],
    tap: str,
    mean: Float[Tensor, " channels"],
    matrix: Float[Tensor, "channels channels"],
) -> Float[Tensor, "rows channels height width"]:
    """Whitened channels, of length 1 at each position."""
    whitened = (_maps(store, rows, tap).permute(0, 2, 3, 1) - mean) @ matrix
    return F.normalize(whitened, dim=3).permute(0, 3, 1, 2)


def _aligned(
    first: Float[Tensor, "pairs channels height width"], second: Float[Tensor, "pairs channels height width"]
) -> Float[Tensor, " pairs"]:
    ways = [(first, second), (first, _zoomed(second)), (_zoomed(first), second)]
    cosines = [
        (a * b).sum(dim=1).mean(dim=(1, 2)) for one, other in ways for a, b in ((one, other), (one, other.flip(3)))
    ]
    return torch.stack(cosines).amax(dim=0)


def _zoomed(maps: Float[Tensor, "pairs channels height width"]) -> Float[Tensor, "pairs channels height width"]:
    inner = torch.tensor([[_ZOOM, 0, 0], [0, _ZOOM, 0]]).expand(len(maps), 2, 3)
    grid = F.affine_grid(inner, list(maps.shape), align_corners=False)
    return F.normalize(F.grid_sample(maps, grid, align_corners=False, padding_mode="border"), dim=1)
