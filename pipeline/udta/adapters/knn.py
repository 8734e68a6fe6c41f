"""Nearest neighbours: the training set itself is the classifier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64, Num
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # everybody calls it F

from udta.adapters.base import Adapter, AdapterOptions, HeldOut, Recipe, Samples, average, channels
from udta.adapters.samples import Gathered, gather, views_of_images

KS = (1, 2, 3, 5, 10, 20, 50, 100, 200)
_KEYS_AT_A_TIME = 65_536  # distances of 512 queries to them: 134 MB
_QUERIES_AT_A_TIME = 512
_LEFT_OUT = 4096  # samples that choose k; all of them would cost the square of a large training set


class KnnOptions(AdapterOptions):
    """Options of `knn`."""

    # Defaults by 3-fold cross-validation on the training split of ten dishes (top-1 of one view / averaged over eight): cosine
    # by distance 70.0 / 71.8, cosine uniform 69.1 / 71.3, euclidean by distance 69.8 / 68.9.
    k: int | None = Field(
        None, ge=1, description="How many neighbours vote; left open, what predicts images that are left out best."
    )
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="Distance between averages of the last tap.")
    weights: Literal["uniform", "distance"] = Field(
        "distance", description="Votes count alike, or by the inverse of the distance."
    )
    smoothing: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the probability that is spread over all classes, or of a label is how often it is there at all, so"
        " that nothing is impossible; of numbers it plays no part.",
    )


class Knn(Adapter):
    """`knn`: the classes of the nearest training views, by the average of the last tap; every view of every image is a key.

    Of several labels, or of numbers, the weighted mean of those of the neighbours.

    Source: Cover and Hart 1967, "Nearest Neighbor Pattern Classification". Keys are kept as float16, 2 bytes for each view and
    channel (20 MB for 1000 images in 8 views at 1280 channels).
    """

    name: ClassVar[str] = "knn"
    recipe: ClassVar[Recipe] = Recipe(epochs=1)
    closed_form: ClassVar[bool] = True
    options_type: ClassVar[type[AdapterOptions]] = KnnOptions
    deciding: ClassVar[tuple[str, ...]] = ("k",)
    settings: KnnOptions

    keys: Tensor
    labels: Tensor
    scale: Tensor
    k: Tensor

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        self.register_buffer("keys", torch.zeros(0, channels(self.taps[self.taps_used[0]]), dtype=torch.float16))
        # Numbers as training sees them, with mean 0 and scale 1.
        of_a_key = () if self.task.exclusive else (n_classes,)
        self.register_buffer(
            "labels", torch.zeros(0, *of_a_key, dtype=torch.int64 if self.task.exclusive else torch.float32)
        )
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("k", torch.tensor(self.settings.k or 1))

    @property
    def taps_used(self) -> tuple[str, ...]:
        """The deepest tap alone."""
        return (list(self.taps)[-1],)

    def logits(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch classes"]:
        """Log-probabilities, log-odds or numbers; zero, that is uniform logits, as long as there are no keys."""
        queries = self._pool(features)
        if not len(self.keys):
            return queries.new_zeros(queries.shape[0], self.n_classes)
        distances, labels = self._nearest(self._embed(queries), int(self.k))
        return self._vote(distances, labels)

    @torch.no_grad()
    def solve(self, samples: Iterable[Samples]) -> HeldOut:
        """Keeps every view as a key, and chooses k; returns how well other images' views predict evenly spaced samples."""
        found = gather(samples, self._pool)
        # A common scale changes no neighbour and no share of a vote, and keeps every float16 finite.
        self.scale = found.features.square().sum(dim=1).mean().sqrt().clamp_min(torch.finfo(torch.float32).tiny)
        self.keys, self.labels = self._embed(found.features).half(), self.standardise_labels(found.labels)
        n_views = int(views_of_images(found.images).max())
        wanted = [self.settings.k] if self.settings.k else [k for k in KS if k <= len(self.keys) - n_views] or [1]
        distances, neighbours, labels = self._left_out(found, max(wanted), n_views)
        loss, k = min((self.task.loss(self._vote(distances[:, :k], neighbours[:, :k]), labels), k) for k in wanted)
        self.k.fill_(k)
        votes = self._vote(distances[:, :k], neighbours[:, :k])
        if self.task.decides:
            self.threshold.copy_(self.task.thresholds(votes, labels))
        return HeldOut(loss, self.task.accuracy(votes, labels))

    def _left_out(self, found: Gathered, k: int, n_views: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of evenly spaced samples the distances and labels of the k nearest views of other images, and their own labels."""
        index = torch.arange(0, len(self.keys), -(-len(self.keys) // _LEFT_OUT), device=self.keys.device)
        parts = []
        for some in torch.split(index, _QUERIES_AT_A_TIME):
            distances, keys = self._nearest_keys(self.keys[some].float(), k + n_views)
            own = found.images[keys] == found.images[some][:, None]
            # Stable: what is left keeps its order, and the views of the image itself go last.
            order = own.long().argsort(dim=1, stable=True)[:, :k]
            distances = distances.masked_fill(own, torch.inf).gather(1, order)
            parts.append((distances, self.labels[keys.gather(1, order)]))
        distances, neighbours = (torch.cat(columns) for columns in zip(*parts, strict=True))
        return distances, neighbours, self.labels[index]

    def _vote(
        self, distances: Float[Tensor, "batch k"], labels: Num[Tensor, "batch k ..."]
    ) -> Float[Tensor, "batch classes"]:
        if self.settings.weights == "distance":
            nearest = distances[:, :1].clamp_min(1e-6)
            # The nearest counts 1: no overflow where a distance is zero. Nothing at all is infinity by infinity.
            weights = torch.nan_to_num(nearest / distances.clamp_min(1e-6))
        else:
            weights = torch.isfinite(distances).float()
        weights, smoothing = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-6), self.settings.smoothing
        if not self.task.exclusive:
            mean: Tensor = (weights[:, :, None] * labels).sum(dim=1)
            if self.task.in_units:
                return mean
            # One more of each, with it and without: a label that all or none of the keys have is not certain either.
            often = (self.labels.sum(dim=0) + 1) / (len(self.labels) + 2)
            return ((1 - smoothing) * mean + smoothing * often).logit()
        share = torch.zeros(distances.shape[0], self.n_classes, device=distances.device)
        share.scatter_add_(1, labels, weights)
        return ((1 - smoothing) * share + smoothing / self.n_classes).log()

    def _nearest(self, queries: Tensor, k: int) -> tuple[Float[Tensor, "batch k"], Num[Tensor, "batch k ..."]]:
        distances, keys = self._nearest_keys(queries, k)
        return distances, self.labels[keys]

    def _nearest_keys(self, queries: Tensor, k: int) -> tuple[Float[Tensor, "batch k"], Int64[Tensor, "batch k"]]:
        """Distances in ascending order, and which keys; fewer than k where there are fewer keys."""
        best: tuple[Tensor, Tensor] | None = None
        for start in range(0, len(self.keys), _KEYS_AT_A_TIME):
            distances = self._distances(queries, self.keys[start : start + _KEYS_AT_A_TIME].float())
            found, index = distances.topk(min(k, distances.shape[1]), dim=1, largest=False)
            index = index + start
            if best is not None:
                found, index = torch.cat([best[0], found], dim=1), torch.cat([best[1], index], dim=1)
                found, order = found.topk(min(k, found.shape[1]), dim=1, largest=False)
                index = index.gather(1, order)
            best = found, index
        assert best is not None
        return best

    def _distances(self, queries: Tensor, keys: Tensor) -> Float[Tensor, "queries keys"]:
        if self.settings.metric == "cosine":
            return (1 - queries @ F.normalize(keys, dim=1).T).clamp_min(0)
        return torch.cdist(queries, keys)

    def _embed(self, pooled: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch channels"]:
        return F.normalize(pooled, dim=1) if self.settings.metric == "cosine" else pooled / self.scale

    def _pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch channels"]:
        return average(features[self.taps_used[0]])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """How many keys there are is known from the file alone."""
        for name in ("keys", "labels"):
            if f"{prefix}{name}" in state_dict:
                n_keys = len(state_dict[f"{prefix}{name}"])
                buffer = getattr(self, name)
                setattr(self, name, buffer.new_zeros(n_keys, *buffer.shape[1:]))
        super()._load_from_state_dict(state_dict, prefix, *args)
