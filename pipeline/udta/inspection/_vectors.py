"""From stored taps to one vector an image: view 0, some rows at a time, so that no map of more than a part lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, Int64
from torch import Tensor

from udta._console.progress import announce
from udta.adapters.base import average
from udta.errors import FeatureError
from udta.store import Store

_CHUNK_BYTES = 32 << 20  # of float32 values that are read at a time
_CELLS = 3  # a side of a layout
# Numbers of a layout that are kept; a covariance of so many takes 34 MB in float64, and its axes some seconds.
MOST_NUMBERS = 2048


def averages(feature: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch channels"]:
    """The mean over positions."""
    return average(feature)


def layouts(feature: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch numbers"]:
    """What is where, but for left and right: means of 3 x 3 cells of a map, each with the one that mirrors it.

    So a mirrored copy has nearly the same numbers, and an image of the same things in other places has not. A tap without rows
    and columns is averaged over what it has. More than `MOST_NUMBERS` are hashed into as many.
    """
    if feature.ndim == 4:
        cells = F.adaptive_avg_pool2d(feature, (min(_CELLS, feature.shape[2]), min(_CELLS, feature.shape[3])))
        folded = (cells + cells.flip(3)) / 2
        numbers = folded[..., : (folded.shape[3] + 1) // 2].flatten(1)
    else:
        numbers = average(feature)
    return hashed(numbers, MOST_NUMBERS)


def hashed(numbers: Float[Tensor, "batch numbers"], width: int) -> Float[Tensor, "batch width"]:
    """Random sums with random signs, which keep products of vectors in the mean; unchanged up to `width` numbers.

    Source: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning". A matrix of Gaussians would take 100 MB.
    """
    if numbers.shape[1] <= width:
        return numbers
    # The same for every batch and in every run; NumPy's generator gives the same numbers on every machine.
    random = np.random.default_rng(0)
    where = torch.from_numpy(random.integers(width, size=numbers.shape[1]))
    signs = torch.from_numpy(random.choice(np.array([-1, 1], dtype=np.float32), size=numbers.shape[1]))
    return numbers.new_zeros(len(numbers), width).index_add_(1, where, numbers * signs)


def vectors_of(
    store: Store, rows: Int64[np.ndarray, " rows"], tap: str, pool: Callable[[Tensor], Tensor]
) -> Float[Tensor, "rows numbers"]:
    """What `pool` makes of a tap of view 0 of every row, float32.

    Raises:
        FeatureError: features are not finite; the first image is named.
    """
    found: Tensor | None = None
    done = 0
    for part, feature in _chunks(store, rows, tap):
        pooled = pool(feature)
        bad = part[~torch.isfinite(pooled).all(dim=1).numpy()]
        if len(bad):
            raise FeatureError(
                f"the features of {str(store.ids[bad[0]])!r} in {store.path} are not finite (tap {tap!r}): `udta verify` says"
                " whether the store is whole; extract the image again"
            )
        if found is None:
            found = torch.empty(len(rows), pooled.shape[1])
        found[done : done + len(part)] = pooled
        done += len(part)
        announce(f"rows of {tap}", done, len(rows))
    assert found is not None  # nobody asks for no rows
    return found


def _chunks(store: Store, rows: Int64[np.ndarray, " rows"], tap: str) -> Iterator[tuple[np.ndarray, Tensor]]:
    size = max(1, _CHUNK_BYTES // (4 * int(np.prod(store.taps[tap].shape))))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield part, torch.from_numpy(store.read(part, [tap], [0], dtype="float32")[tap][:, 0])
