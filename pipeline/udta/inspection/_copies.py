"""Pairs of images that are the same photograph: of the same bytes, or cropped, mirrored, resized, recompressed.

The rule, one for all backbones and sets. Each tap gives the layout of an image (`_vectors.layouts`: what is where, left and right
folded together), whitened and of length 1 (`_axes.whitened_directions`); two images are as alike as the mean cosine over taps
says. Whitening matters because images of a class share the few directions in which a set varies most, while a copy shares all of
them; layouts matter because photographs of a kind share averages, and seldom the place of everything.
From that cosine the two images' own crowding is taken: half of the mean cosine of each with its 6th to 15th neighbour. A flower
among sixty alike has to be more alike still, and a group of up to five copies does not hide itself.
A pair is listed above 0.15, and above what chance makes of the most alike of as many pairs: sigma sqrt(2 ln pairs), with sigma
the deviation of cosines of pairs drawn at random, which is larger the fewer channels a network has.
Where taps are maps, what is listed is looked at again: its likeness becomes the mean of that cosine and of how well the maps lie
upon each other (`_alignment`), which other photographs of one scene do less than copies.
docs/inspection.md has what was measured against other rules.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float, Int64
from torch import Tensor

from udta.inspection._alignment import alignments
from udta.inspection._axes import whitened_directions
from udta.inspection._neighbours import nearest, ranked_again
from udta.inspection._vectors import hashed, layouts, vectors_of
from udta.store import Store

# Pairs below are other photographs of the same thing at best: planted copies lie above 0.27 with MobileNetV2 and DeiT-tiny (those
# that were cropped, mirrored, resized and recompressed at once above 0.10), the thirtieth unplanted pair of five sets below 0.2.
_LEAST_LIKENESS = 0.15
_CANDIDATES = 64
_SEARCHED = 512  # numbers by which candidates are found; likeness is of all numbers
_CROWD = slice(5, 15)
_DRAWN = 4096  # pairs whose cosines are chance


@dataclass(frozen=True)
class Pair:
    """Two rows; `likeness` is 1 for the same bytes, else a mean cosine less crowding, averaged with how the maps align."""

    first: int
    second: int
    likeness: float
    same_bytes: bool


def copies(
    store: Store, rows: Int64[np.ndarray, " rows"], layout: Float[Tensor, "rows numbers"], n_taps: int
) -> list[Pair]:
    """Pairs of rows that are the same photograph, the surest first, those of the same bytes before all others.

    Args:
        store: the store.
        rows: some of its rows.
        layout: of these rows, see `layout_vectors`.
        n_taps: how many taps lie in it.
    """
    same = _same_bytes([store.hashes[name] for name in store.ids[rows].tolist()])
    groups = {row: group for group, members in enumerate(same) for row in members}
    found = [Pair(int(rows[m[0]]), int(rows[other]), 1.0, True) for m in same for other in m[1:]]
    # Of one content, only the first is looked at: the others would stand as its nearest neighbours.
    chosen = np.array([i for i in range(len(rows)) if i not in groups or same[groups[i]][0] == i])
    if len(chosen) < 3:  # there is nothing to be more alike than
        return found
    units = layout[torch.from_numpy(chosen)] if same else layout
    alike = [(int(rows[chosen[a]]), int(rows[chosen[b]]), value) for a, b, value in _alike(units, n_taps)]
    aligned = alignments(store, [(a, b) for a, b, _ in alike]) if alike else None
    likeness = [value for *_, value in alike]
    if aligned is not None:
        likeness = [(value + other) / 2 for value, other in zip(likeness, aligned.tolist(), strict=True)]
    near = [Pair(a, b, value, False) for (a, b, _), value in zip(alike, likeness, strict=True)]
    return found + sorted(near, key=lambda pair: (-pair.likeness, pair.first, pair.second))


def layout_vectors(store: Store, rows: Int64[np.ndarray, " rows"]) -> Float[Tensor, "rows numbers"]:
    """Whitened layouts of all taps side by side, float16, each tap of length 1."""
    # Tap by tap, in half precision when done: of 100,000 images through a MobileNetV2 0.8 GB, and as much again for a moment.
    parts = []
    for tap in store.taps:
        blocks = whitened_directions(vectors_of(store, rows, tap, layouts))
        parts.append(torch.cat([block.half() for block in blocks]))
    return torch.cat(parts, dim=1)


def _alike(units: Float[Tensor, "rows numbers"], n_taps: int) -> list[tuple[int, int, float]]:
    searched = F.normalize(torch.cat([hashed(block.float(), _SEARCHED) for block in torch.split(units, 4096)]), dim=1)
    products, others = ranked_again(units, nearest(searched, _CANDIDATES)[1])
    cosines = products / n_taps
    crowd = cosines[:, _CROWD] if cosines.shape[1] > _CROWD.start else cosines[:, -1:]
    crowding = crowd.mean(dim=1)
    likeness = cosines - (crowding[:, None] + crowding[others]) / 2
    found: dict[tuple[int, int], float] = {}
    for a, place in (likeness >= max(_LEAST_LIKENESS, _chance(units, n_taps))).nonzero().tolist():
        b = int(others[a, place])
        # Once, though each is a neighbour of the other.
        found[min(a, b), max(a, b)] = float(likeness[a, place])
    return [(a, b, value) for (a, b), value in found.items()]


def _chance(units: Float[Tensor, "rows numbers"], n_taps: int) -> float:
    """The likeness that the most alike of all pairs has in the mean, were they no more alike than pairs drawn at random."""
    drawn = torch.from_numpy(np.random.default_rng(0).permutation(len(units))[:_DRAWN])
    cosines = (units[drawn].float() * units[drawn.roll(1)].float()).sum(dim=1) / n_taps
    return float(cosines.std()) * math.sqrt(2 * math.log(len(units) * (len(units) - 1) / 2))


def _same_bytes(hashes: Sequence[str]) -> list[list[int]]:
    by_content: Mapping[str, list[int]] = defaultdict(list)
    for row, content in enumerate(hashes):
        by_content[content].append(row)
    return [members for members in by_content.values() if len(members) > 1]
