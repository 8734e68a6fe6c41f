"""Training samples gathered in memory, for what is solved rather than trained step by step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from udta._machine.cores import side_by_side
from udta.adapters.base import Samples
from udta.errors import AdapterError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Gathered:
    """Pooled features (float32), label and image of every sample; the samples of an image are next to each other."""

    features: Float[Tensor, "samples features"]
    labels: Num[Tensor, "samples ..."]
    images: Int64[Tensor, " samples"]


@dataclass(frozen=True)
class SomeSamples:
    """Part of a batch: features by tap, labels, and of which image each sample is."""

    taps: Mapping[str, Float[Tensor, "batch ..."]]
    labels: Num[Tensor, "batch ..."]
    rows: Int64[Tensor, " batch"]


def at_most(n: int, samples: Iterable[Samples], n_samples: int) -> Iterator[Samples]:
    """All of `n_samples`, or a random `n` of them; always the same ones, in their order."""
    # Seeded by itself: whatever the training draws, and however often it is killed, the same samples are kept.
    if n_samples <= n:
        yield from samples
        return
    kept = torch.zeros(n_samples, dtype=torch.bool)
    kept[torch.randperm(n_samples, generator=torch.Generator().manual_seed(0))[:n]] = True
    done = 0
    for batch in samples:
        # Chosen by position: batches come in the same order each time, whatever their sizes are.
        part = kept[done : done + len(batch.labels)].nonzero()[:, 0].to(batch.labels.device)
        done += len(batch.labels)
        if len(part):
            taps = {tap: values[part] for tap, values in batch.taps.items()}
            yield SomeSamples(taps, batch.labels[part], batch.rows[part])


def of_every_batch(function: Callable[[Samples], Result], samples: Iterable[Samples]) -> Iterator[Result]:
    """`function` of every batch, in their order, on a CPU several at a time."""
    batches = iter(samples)
    # The first batch says where the features are; there may be none.
    first = next(batches, None)
    if first is not None:
        yield from side_by_side(function, itertools.chain([first], batches), first.labels.device)


def gather(
    samples: Iterable[Samples], pool: Callable[[Mapping[str, Tensor]], Float[Tensor, "batch features"]]
) -> Gathered:
    """Pool every batch, and keep the results: 4 bytes for each sample and feature (41 MB for 1000 images in 8 views at 1280).

    Args:
        samples: each view of each image once.
        pool: from float32 taps to one vector a sample.

    Raises:
        AdapterError: there is no sample.
    """

    def pooled(batch: Samples) -> tuple[Tensor, Tensor, Tensor]:
        return pool({tap: values.float() for tap, values in batch.taps.items()}), batch.labels, batch.rows

    parts = list(of_every_batch(pooled, samples))
    if not parts:
        raise AdapterError("an adapter that is solved in closed form needs training samples, and there is none")
    features, labels, rows = (torch.cat(columns) for columns in zip(*parts, strict=True))
    # An image's views next to each other: what is solved leaves them out together.
    order = rows.argsort(stable=True)
    return Gathered(features[order], labels[order], rows[order])


def views_of_images(images: Int64[Tensor, " samples"]) -> Int64[Tensor, " images"]:
    """How many samples each image has, in the order of `images`, which has those of an image next to each other."""
    counts: Tensor = torch.unique_consecutive(images, return_counts=True)[1]
    return counts
