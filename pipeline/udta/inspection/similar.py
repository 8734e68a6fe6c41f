"""`udta.similar`: the images of a store that are nearest to one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F

from udta._console.terminal import one_line
from udta._console.text_table import text_table
from udta.errors import ConfigError, did_you_mean
from udta.inspection._findings import Table, first_lines, label_name
from udta.inspection._vectors import averages, vectors_of
from udta.store import Store, open_store

_BLOCK = 16_384


@dataclass(frozen=True)
class SimilarImages:
    """The nearest images to `image`: `neighbours` has `path`, `split`, `label` and `cosine`, in descending order of it."""

    store: str
    image: str
    tap: str
    neighbours: Table

    def to_json(self) -> dict[str, Any]:
        """Everything, neighbours as a list."""
        lines = first_lines(self.neighbours, len(self.neighbours["path"]))
        return {"store": self.store, "image": self.image, "tap": self.tap, "neighbours": lines}

    def __str__(self) -> str:
        rows = [
            [f"{cosine:.3f}", one_line(path), split, one_line(label)]
            for path, split, label, cosine in zip(*self.neighbours.values(), strict=True)
        ]
        return text_table(("cosine", "image", "split", "label"), rows, left=4)


def similar(store: str | Path | Store, image: str, *, top: int = 10, tap: str | None = None) -> SimilarImages:
    """The nearest neighbours of an image among those of a store, by the cosine of centred averages of a tap of view 0.

    The cosine is 1 for the same features, and about 0 for two images that have nothing more in common than any two of the store.

    Args:
        store: a store or its path.
        image: the id of one of its images, as `store.ids` has it.
        top: how many.
        tap: by which tap; the deepest by default, which says most of what is seen.

    Returns:
        The neighbours, the nearest first.

    Raises:
        ConfigError: no image of the store has this id, no such tap, or `top` is below 1.

    Example:
        >>> len(udta.similar("photos.zarr", "cat/000.png", top=3).neighbours["path"])
        3
    """
    opened = store if isinstance(store, Store) else open_store(store)
    if top < 1:
        raise ConfigError(f"top is {top}, but at least one neighbour is asked for")
    [name] = opened.check_taps([tap or list(opened.taps)[-1]])
    rows = opened.rows()
    ids = opened.ids[rows].tolist()
    if image not in ids:
        raise ConfigError(
            f"{opened.path} has no image {image!r}, {did_you_mean(image, ids)} Photographs that are not in a store have to be"
            " extracted first: the same `udta extract` again adds those that came to its folder"
        )
    vectors = vectors_of(opened, rows, name, averages)
    vectors -= vectors.mean(dim=0)
    own = ids.index(image)
    query = F.normalize(vectors[own], dim=0)
    cosines = torch.cat([F.normalize(block, dim=1) @ query for block in torch.split(vectors, _BLOCK)])
    cosines[own] = -torch.inf
    order = cosines.argsort(descending=True, stable=True)[: min(top, len(rows) - 1)].numpy()
    found = rows[order]
    return SimilarImages(
        str(opened.path),
        image,
        name,
        {
            "path": opened.ids[found].tolist(),
            "split": opened.splits[found].tolist(),
            "label": [label_name(opened, row) for row in found.tolist()],
            "cosine": np.clip(cosines[torch.from_numpy(order)].numpy(), -1, 1).tolist(),
        },
    )
