"""`udta.similar`: the images of a store that are nearest to one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # everybody calls it F
from jaxtyping import Float
from torch import Tensor

from udta._console.terminal import one_line
from udta._console.text_table import text_table
from udta.backbones import Backbone
from udta.errors import ConfigError, FeatureError, did_you_mean
from udta.extraction import feature_batches
from udta.extraction.recompute import live_source
from udta.images import read_unlabelled
from udta.inspection._findings import Table, first_lines, label_name
from udta.inspection._vectors import averages, vectors_of
from udta.store import Store, as_tensor, open_store, value_dtype

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


def similar(
    store: str | Path | Store,
    image: str | Path,
    *,
    top: int = 10,
    tap: str | None = None,
    backbone: str | Backbone | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> SimilarImages:
    """The nearest neighbours of an image among those of a store, by the cosine of centred averages of a tap of view 0.

    The cosine is 1 for the same features, and about 0 for two images that have nothing more in common than any two of the store.

    Args:
        store: a store or its path.
        image: the id of one of its images, as `store.ids` has it, or else a file, which goes through the backbone once.
        top: how many.
        tap: by which tap; the deepest by default, which says most of what is seen.
        backbone: for a file: where to find the backbone, or itself; by default as it was named at extraction.
        weights: for a file: where its weights are; by default where they were at extraction.
        device: for a file: `auto`, `cpu`, `cuda` or `cuda:N`.

    Returns:
        The neighbours, the nearest first.

    Raises:
        ConfigError: no image of the store has this id and there is no such file, nobody says where the backbone is, no such
            tap, or `top` is below 1.
        FeatureError: features of the file that are not finite.
        ImageError: a file that is no image.
        StaleStoreError: the backbone is not the one that the store was made with.

    Example:
        >>> len(udta.similar("photos.zarr", "cat/000.png", top=3).neighbours["path"])
        3
    """
    opened = store if isinstance(store, Store) else open_store(store)
    if top < 1:
        raise ConfigError(f"top is {top}, but at least one neighbour is asked for")
    [name] = opened.check_taps([tap or list(opened.taps)[-1]])
    rows = opened.rows()
    ids, called = opened.ids[rows].tolist(), str(image)
    own = ids.index(called) if called in ids else None
    if own is None and not Path(image).is_file():
        raise ConfigError(f"{opened.path} has no image {called!r}, {did_you_mean(called, ids)} Nor is that a file")
    live = _live(opened, name, called, backbone, weights, device) if own is None else None
    vectors = vectors_of(opened, rows, name, averages)
    mean = vectors.mean(dim=0)
    vectors -= mean
    query = F.normalize(vectors[own] if live is None else live - mean, dim=0)
    cosines = torch.cat([F.normalize(block, dim=1) @ query for block in torch.split(vectors, _BLOCK)])
    if own is not None:
        cosines[own] = -torch.inf  # an image is no neighbour of itself
    order = cosines.argsort(descending=True, stable=True)[: min(top, len(rows) - (own is not None))].numpy()
    found = rows[order]
    return SimilarImages(
        str(opened.path),
        called,
        name,
        {
            "path": opened.ids[found].tolist(),
            "split": opened.splits[found].tolist(),
            "label": [label_name(opened, row) for row in found.tolist()],
            "cosine": np.clip(cosines[torch.from_numpy(order)].numpy(), -1, 1).tolist(),
        },
    )


def _live(
    store: Store, tap: str, image: str, backbone: str | Backbone | None, weights: str | None, device: str
) -> Float[Tensor, " channels"]:
    """The average of a tap for the evaluation view of a file, as the backbone gives it now."""
    source = live_source(store, read_unlabelled(image), backbone, weights, device)
    [batch] = feature_batches(source, [0], [0])
    [spec] = [each for each in source.taps if each.name == tap]
    found = averages(as_tensor(batch.features[tap][:, 0].view(value_dtype(spec.dtype))).float())[0]
    if not torch.isfinite(found).all():
        raise FeatureError(f"the features of {image!r} are not finite (tap {tap!r}): try --device cpu")
    return found
