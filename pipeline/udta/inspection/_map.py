"""A map of all images: where they lie along two principal axes, and by t-SNE, which keeps neighbours together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from udta.inspection._findings import Table, label_name
from udta.store import Store

# Of t-SNE: its time grows faster than the images (2,000: some 10 s of a core), and a page shows no more dots apart.
MOST_POINTS = 2000
_AXES = 50  # what scikit-learn's own manual advises to reduce to first


def embedding_map(
    store: Store, rows: Int64[np.ndarray, " rows"], axes: Float[Tensor, "rows axes"], seed: int
) -> tuple[Table, list[str]]:
    """A line for each image with `pca_1`, `pca_2`, `tsne_1` and `tsne_2` (None outside of the sample), and notes."""
    points = axes[:, :2].numpy()
    if points.shape[1] < 2:  # a tap of one number, or of two images
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    table: Table = {
        "path": store.ids[rows].tolist(),
        "split": store.splits[rows].tolist(),
        "label": [label_name(store, row) for row in rows.tolist()],
        "pca_1": points[:, 0].tolist(),
        "pca_2": points[:, 1].tolist(),
    }
    sample = np.arange(len(rows))
    notes = []
    if len(rows) > MOST_POINTS:
        sample = np.sort(np.random.default_rng(seed).choice(len(rows), MOST_POINTS, replace=False))
        notes.append(f"t-SNE is of {MOST_POINTS} of {len(rows)} images, drawn with seed {seed}")
    placed = _tsne(axes[sample, :_AXES].numpy(), seed)
    if placed is None:
        notes.append("no t-SNE: it needs scikit-learn (pip install 'udta[report]') and 5 images that are not all alike")
    for at, name in enumerate(("tsne_1", "tsne_2")):
        column: list[float | None] = [None] * len(rows)
        for row, point in zip(
            sample.tolist(), [] if placed is None else placed[:, at].tolist(), strict=placed is not None
        ):
            column[row] = point
        table[name] = column
    return table, notes


def _tsne(numbers: Float[np.ndarray, "points axes"], seed: int) -> Float[np.ndarray, "points 2"] | None:
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        return None
    # Where no two images differ, as with random weights that let nothing through, scikit-learn divides by zero and its tree of
    # NaN never ends: a segmentation fault (1.9).
    if len(numbers) < 5 or numbers.shape[1] < 2 or not np.ptp(numbers, axis=0).any():
        return None
    # As many neighbours as a class may have; it has to be below the number of images.
    perplexity = min(30, (len(numbers) - 1) / 3)
    found: np.ndarray = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(numbers)
    return found
