"""What each labelled image is, said by a fit to all others: `gda` on what `udta` pools, leaving out one image at a time.

The averages of all taps beside roots of covariances along principal directions, which no label has a part in: with the roots more
of the labels that were changed on purpose were found than without (docs/inspection.md). Gaussians of one covariance, because
their leave-one-out predictions are exact and cost one fit (`adapters/discriminant.py`), and because they found more of them than
least squares did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from udta._console.progress import announce
from udta._machine.process_state import left_as_found
from udta.adapters.discriminant import GaussianPath
from udta.adapters.regularisation import choose_alpha
from udta.adapters.udta import Udta
from udta.inspection._axes import principal
from udta.loader import FeatureLoader
from udta.store import Store
from udta.tasks import find_task

# Recall of changed labels is the same with 128, 512 and all numbers; 100,000 images take 0.4 GB in float64.
_AXES = 512
_WIDTH = 32  # channels whose covariances are taken: 528 numbers a tap
_BATCH = 64


@dataclass(frozen=True)
class HeldOutAnswers:
    """Log-probabilities of classes for rows of a store, which have `labels`; `source` says whose they are."""

    rows: Int64[np.ndarray, " rows"]
    labels: Int64[np.ndarray, " rows"]
    log_probabilities: Float[np.ndarray, "rows classes"]
    source: str

    @property
    def of_label(self) -> Float[np.ndarray, " rows"]:
        """Log-probability of the class that each image is labelled with."""
        found: np.ndarray = self.log_probabilities[np.arange(len(self.rows)), self.labels]
        return found

    @property
    def predicted(self) -> Int64[np.ndarray, " rows"]:
        """The most probable class."""
        best: np.ndarray = self.log_probabilities.argmax(axis=1)
        return best


def left_out(
    rows: Int64[np.ndarray, " rows"],
    labels: Int64[np.ndarray, " rows"],
    vectors: Float[Tensor, "rows numbers"],
    n_classes: int,
) -> HeldOutAnswers:
    """Answers of the fit to all other images; changes `vectors`.

    Args:
        rows: of the store.
        labels: their classes, at least two different ones.
        vectors: of them.
        n_classes: how many classes there are, with or without images.
    """
    task, own = find_task("multiclass"), torch.from_numpy(labels)
    x = principal(vectors, _AXES).double()
    path = GaussianPath(x, own, torch.arange(len(rows)), n_classes)
    prior = (torch.bincount(own, minlength=n_classes) + 1.0).log()
    chosen = choose_alpha(path, None, task, own, prior)
    answers = task.answers(chosen.rescaling(path.left_out(chosen.alpha).float()))
    return HeldOutAnswers(rows, labels, answers.numpy(), "a fit to all other images")


@torch.no_grad()
def pooled(store: Store, rows: Int64[np.ndarray, " rows"]) -> Float[Tensor, "rows numbers"]:
    """What `udta` pools of view 0 with principal directions, which are found first: its taps are read twice."""
    shapes = {tap.name: tap.shape for tap in store.taps.values()}
    with left_as_found():  # its layers draw initial weights, which nobody uses
        adapter = Udta(shapes, max(2, len(store.classes)), width=_WIDTH, directions="principal")
    loader = FeatureLoader(
        store, rows=rows, taps=adapter.taps_used, batch_size=_BATCH, shuffle=False, views=0, dtype="float32"
    )
    adapter.solve(loader)
    found = torch.empty(len(rows), adapter.probe.classify.in_features)
    done = 0
    for batch in loader:
        found[done : done + len(batch)] = adapter.pool(batch.taps)
        done += len(batch)
        announce("rows pooled", done, len(rows))
    return found
