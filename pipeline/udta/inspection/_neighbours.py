"""The nearest rows of each row by blocks of products: memory is that of a block and of what is found, never rows x rows."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta._console.progress import announce

_QUERIES, _KEYS = 1024, 16_384  # 64 MB of products at a time


def nearest(units: Float[Tensor, "rows numbers"], k: int) -> tuple[Float[Tensor, "rows k"], Int64[Tensor, "rows k"]]:
    """Cosines in descending order and row numbers of the k nearest others; all others where there are fewer.

    Args:
        units: unit vectors of any float type, which are compared as float32.
        k: how many.
    """
    k = min(k, len(units) - 1)
    found = []
    for start in range(0, len(units), _QUERIES):
        queries = units[start : start + _QUERIES].float()
        own = torch.arange(start, start + len(queries))
        best, index = queries.new_empty(len(queries), 0), own.new_empty(len(queries), 0)
        for first in range(0, len(units), _KEYS):
            products = queries @ units[first : first + _KEYS].float().T
            inside = (own >= first) & (own < first + products.shape[1])
            products[inside, own[inside] - first] = -torch.inf  # a row is no neighbour of itself
            values, keys = products.topk(min(k, products.shape[1]), dim=1)
            best, order = torch.cat([best, values], dim=1).topk(min(k, best.shape[1] + values.shape[1]), dim=1)
            index = torch.cat([index, keys + first], dim=1).gather(1, order)
        found.append((best, index))
        announce("rows compared", start + len(queries), len(units))
    cosines, rows = (torch.cat(parts) for parts in zip(*found, strict=True))
    return cosines, rows


def ranked_again(
    units: Float[Tensor, "rows numbers"], candidates: Int64[Tensor, "rows k"]
) -> tuple[Float[Tensor, "rows k"], Int64[Tensor, "rows k"]]:
    """Candidates in descending order of their cosines with the row, computed from all numbers."""
    parts = []
    for start in range(0, len(units), 64):  # 64 rows x 64 candidates x 4,000 numbers are 64 MB
        some = candidates[start : start + 64]
        cosines = torch.einsum("rn,rkn->rk", units[start : start + 64].float(), units[some].float())
        values, order = cosines.sort(dim=1, descending=True, stable=True)
        parts.append((values, some.gather(1, order)))
    cosines, rows = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return cosines, rows
