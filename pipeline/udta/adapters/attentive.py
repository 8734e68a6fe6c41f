"""Attentive fusion: learned queries look at the class and average tokens of every tap and take from each what an image needs.

Which depth says most differs from class to class and from image to image. A linear layer on all taps side by side weighs them
alike for all images; here the weights come from the image's own tokens, and what is classified is as short as one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from udta.adapters.base import AdapterOptions, PooledAdapter, Recipe, average, channels
from udta.adapters.linear import LinearProbe


class AttentiveOptions(AdapterOptions):
    """Options of `attentive`."""

    # By 3-fold cross-validation on training splits, 17 tokens of a DeiT-tiny, values without a bias, one seed (top-1 of one view
    # / averaged over eight): on ten dishes 72.2 / 75.6, with 8 queries of 32 numbers 69.6 / 72.2; on ten textures 85.0 / 84.7
    # and 83.3 / 84.0.
    queries: int = Field(4, ge=1, le=64, description="How many look at the tokens, each with weights of its own.")
    width: int = Field(16, ge=1, le=512, description="Numbers that each of them takes from a token.")


class Fusion(nn.Module):
    """Tokens of any lengths -> for each query their weighted sum, `width` thin channels of every token -> one vector.

    A query that is learned and a projection of keys that is learned are one vector between them, so a query has one for each
    token and no projection (Psomas et al. 2025, arXiv 2506.10178). A bias beside it says how much it likes that token before it
    looks.
    """

    def __init__(self, lengths: tuple[int, ...], queries: int, width: int) -> None:
        super().__init__()
        self.lengths, self.queries = lengths, queries
        self.standardise = nn.BatchNorm1d(sum(lengths), affine=False)
        # Of every token first one score for each query, then what each query would take from it.
        self.read = nn.ModuleList(nn.Linear(length, queries * (1 + width)) for length in lengths)

    def forward(self, tokens: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch fused"]:
        """Of tokens side by side, in the order of `lengths`."""
        apart = self.standardise(tokens).split(self.lengths, dim=1)
        found = torch.stack([read(token) for read, token in zip(self.read, apart, strict=True)], dim=1)
        scores, values = found[..., : self.queries], found[..., self.queries :]
        weights: Float[Tensor, "batch token query"] = scores.softmax(dim=1)
        taken = weights[..., None] * values.reshape(*scores.shape, -1)
        return taken.sum(dim=1).flatten(1)


class Attentive(PooledAdapter):
    """`attentive`: class and average tokens of all taps -> standardisation -> attention of learned queries -> linear.

    Source: Ciernik et al. 2026, "Beyond the final layer: Attentive multilayer fusion for vision transformers", arXiv 2601.09322.
    There all tokens have one length and share their projections; here each has its own, because the taps of a CNN differ in
    channels, and a map has no class token. The linear layer starts at zero.
    """

    name: ClassVar[str] = "attentive"
    recipe: ClassVar[Recipe] = Recipe(epochs=40, weight_decay=10.0)
    options_type: ClassVar[type[AdapterOptions]] = AttentiveOptions
    settings: AttentiveOptions

    def __init__(self, taps: Mapping[str, tuple[int, ...]], n_classes: int, /, **options: Any) -> None:
        super().__init__(taps, n_classes, **options)
        queries, width = self.settings.queries, self.settings.width
        lengths = [channels(shape) for shape in self.taps.values() for _ in range(1 + has_class_token(shape))]
        self.fusion = Fusion(tuple(lengths), queries, width)
        self.probe = LinearProbe(queries * width, n_classes)

    @property
    def taps_used(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.taps)

    def pool(self, features: Mapping[str, Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch features"]:
        """Class token and average of the others, or the average alone, tap by tap."""
        return torch.cat([token for tap in self.taps for token in _tokens(features[tap])], dim=1)

    def classify(self, vectors: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Fusion and the probe."""
        logits: Tensor = self.probe(self.fusion(vectors))
        return logits


def has_class_token(shape: tuple[int, ...]) -> bool:
    """Whether the first token of a tap of this shape is a class token: the others are a square of patches."""
    # A store does not say; 1 + n x n is what the listing of taps goes by too, where a backbone says nothing itself.
    return len(shape) == 2 and shape[0] > 1 and math.isqrt(shape[0] - 1) ** 2 == shape[0] - 1


def _tokens(feature: Float[Tensor, "batch ..."]) -> list[Float[Tensor, "batch channels"]]:
    if has_class_token(tuple(feature.shape[1:])):
        return [feature[:, 0], average(feature[:, 1:])]
    return [average(feature)]
