"""Images that are left out to find the temperature of an adapter, so that its probabilities mean what they say.

Label smoothing and heavy weight decay flatten probabilities, and one number by which logits are divided mends that (Guo et al.
2017, arXiv 1706.04599, section 4.2); it changes no prediction. It has to come from images that were not trained on, and none
shall be missing in the end. So when an adapter has been trained on all images, its like is trained in the same way without a
fifth of them (`udta.training.loop`), and what that one says of them gives the temperature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor

from udta.adapters import Adapter, Samples
from udta.adapters.samples import SomeSamples
from udta.loader import FeatureLoader
from udta.scoring import view_logits
from udta.tasks import Task

SHARE = 0.2  # of the images of each class


class Source(Protocol):
    """Batches that say which rows they are of, such as a `FeatureLoader`."""

    def __iter__(self) -> Iterator[Samples]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Without:
    """The batches of a source, each without the samples of some rows; `out` is a mask by row number."""

    source: Source
    out: Bool[Tensor, " rows"]

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[SomeSamples]:
        for batch in self.source:
            # Out of the batches as they are, so that all others come in the same order, views and steps.
            kept = ~self.out[batch.rows]
            taps = {tap: values[kept] for tap, values in batch.taps.items()}
            yield SomeSamples(taps, batch.labels[kept], batch.rows[kept])


def choose(strata: Int64[np.ndarray, " images"], contents: np.ndarray, seed: int) -> Bool[np.ndarray, " images"]:
    """A fifth of the images of each stratum, which is a class, at least one where it has two; equal contents stay together."""
    # A copy that was trained on would look like an image that is known by heart.
    _, first, image = np.unique(contents, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    chosen = np.zeros(len(first), dtype=bool)
    for stratum in np.unique(strata):
        own = order[strata[first][order] == stratum]
        # One at least stays: a class that the second adapter has never seen would say nothing of the first.
        chosen[own[: min(len(own) - 1, max(1, round(SHARE * len(own))))]] = True
    mask: np.ndarray = chosen[image.reshape(-1)]
    return mask


def rows_to_leave_out(
    task: Task, source: Source, every_view: Iterable[Samples], seed: int, device: torch.device
) -> Tensor:
    """A mask by row number, bool `[rows]` on `device`: of the rows of a store, or of arrays, of which each is an image."""
    if isinstance(source, FeatureLoader):
        store, rows = source.store, source.rows
        n_rows, labels = len(store), store.labels[rows]
        contents = np.array([store.hashes[id_] for id_ in store.ids[rows]])
    else:
        # Arrays, of the scikit-learn estimator: no store says which images are copies, so each row is one of its own.
        batches = list(every_view)
        if not batches:
            return torch.zeros(0, dtype=torch.bool, device=device)
        rows, labels = (
            torch.cat(column).cpu().numpy()
            for column in ([batch.rows for batch in batches], [batch.labels for batch in batches])
        )
        n_rows, contents = len(rows), rows
    mask = np.zeros(n_rows, dtype=bool)
    mask[rows[choose(task.strata(labels), contents, seed)]] = True
    return torch.from_numpy(mask).to(device)


def left_out_logits(
    like: Adapter, source: Source, every_view: Iterable[Samples], out: Bool[Tensor, " rows"], device: torch.device
) -> tuple[Float[Tensor, "images classes"], Num[Tensor, "images ..."]]:
    """What `like`, which was trained without the rows that are `out`, says of them, of a store in view 0; and their labels."""
    with torch.inference_mode():
        if isinstance(source, FeatureLoader):
            rows = np.flatnonzero(out.cpu().numpy())
            # View 0: it is what `udta predict` looks at, while the others are augmented.
            logits = view_logits(like, source.store, rows, str(device), views=[0])[:, 0]
            labels = torch.from_numpy(source.store.labels[rows])
        else:
            parts = [(like(batch.taps), batch.labels, out[batch.rows]) for batch in every_view]
            logits, labels = (torch.cat([part[which][part[2]] for part in parts]).cpu() for which in (0, 1))
    return logits, labels
