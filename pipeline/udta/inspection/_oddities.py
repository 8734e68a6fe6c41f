"""Images unlike all others: far from even their nearest neighbours.

Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", arXiv 2204.06507, with every image held
against all others instead of a training set; which are unusual is said by the modified z-score above 3.5 (Iglewicz and Hoaglin
1993, "How to Detect and Handle Outliers").
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from udta.inspection._findings import Table, label_name
from udta.inspection._neighbours import nearest
from udta.store import Store

_NEIGHBOURS = 10
_UNUSUAL = 3.5
_SHOWN = 20  # at least, where fewer are unusual


def outliers(store: Store, rows: Int64[np.ndarray, " rows"], units: Float[Tensor, "rows numbers"]) -> Table:
    """A line for each image that is unusual, but for at least 20 where there are so many, the most unusual first.

    `distance` is 1 less the cosine with its tenth nearest neighbour, `unusual` whether its modified z-score is above 3.5.
    """
    cosines, neighbours = nearest(units, _NEIGHBOURS)
    distances = 1 - cosines[:, -1].numpy()
    middle = np.median(distances)
    # 0.6745 makes the median deviation of a normal distribution its standard deviation.
    scores = 0.6745 * (distances - middle) / max(float(np.median(np.abs(distances - middle))), 1e-9)
    unusual = scores > _UNUSUAL
    order = np.argsort(-distances, kind="stable")[: max(int(unusual.sum()), _SHOWN)]
    return {
        "path": store.ids[rows[order]].tolist(),
        "split": store.splits[rows[order]].tolist(),
        "label": [label_name(store, row) for row in rows[order].tolist()],
        "distance": distances[order].tolist(),
        "unusual": unusual[order].tolist(),
        "nearest": store.ids[rows[neighbours[order, 0].numpy()]].tolist(),
    }
