"""What each position of an image adds to what an adapter says of one class: exact, and derived here.

What is read of a tap is a vector v of averages and of upper triangles of roots of covariances, and what is said of a class is
a . v + b, with the temperature within a and b. Call the vectors at the P positions of the tap x_p and their mean m.

Averages. They are means over positions: position p adds a . x_p / P.

Roots. With t_p = R (x_p - m) for thin channels R, the covariance is C = sum_p t_p t_p' / P. `matrix_sqrt` divides C by its trace,
iterates, and multiplies by the root of the trace: f(s C) = s^(1/2) f(C) for every s > 0, exactly, however few steps it takes. For
L(C) = a . f(C), Euler's theorem on homogeneous functions says L(C) = 2 <G, C>, where G is the gradient of L at the C of this
image. So position p adds 2 t_p' G t_p / P: no remainder, and no second approximation beside the steps themselves. For an exact
root, G is the solution of C^(1/2) G + G C^(1/2) = A, with A the weights as a symmetric matrix.

By the chain rule both are read off one gradient g_p of a . v with respect to x_p. The covariance does not change with the mean,
so its part of the gradients sums to zero over positions. Then the mean gradient q is that of the averages, and g_p - q is
2 R' G t_p / P. Hence position p adds q . x_p + (g_p - q) . (x_p - m).

The zero. v0, the mean of v over training samples, is what the adapter standardises by. What v0 would add is taken off, in equal
parts at all positions of the tap that it comes from, so that a position counts for what it says beyond an average image. The
constant is then what the adapter says of v0: the sum of all contributions and the constant is what it says of this image.

Sources: Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", arXiv 1512.04150, for averages; for roots our
own, from Euler's theorem and the iteration of Li et al. 2018, arXiv 1712.01034.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from udta.adapters import ADAPTERS, Adapter, AdapterHeader, PooledAdapter
from udta.errors import AdapterError, ConfigError, did_you_mean
from udta.explanation._positions import TapPositions, input_size


@dataclass(frozen=True)
class Contributions:
    """What makes up `answer`: that of one class before a softmax, as `Adapter.forward` gives it, or a number in its units.

    Attributes:
        maps: by tap with positions what each of them adds, `[rows, columns]`; they cover the view, the first row on top.
        elsewhere: by tap what its tokens add that are no patches, or all of it where it has no positions.
        constant: what the adapter says of an average training image.
        answer: the sum of all of them.
    """

    maps: Mapping[str, Float[np.ndarray, "rows columns"]]
    elsewhere: Mapping[str, float]
    constant: float
    answer: float

    def to_json(self) -> dict[str, Any]:
        """Every figure."""
        return {
            "answer": self.answer,
            "constant": self.constant,
            "elsewhere": dict(self.elsewhere),
            "maps": {tap: {"sum": float(each.sum()), "values": each.tolist()} for tap, each in self.maps.items()},
        }


def contributions(
    adapter: Adapter, header: AdapterHeader, features: Mapping[str, Float[Tensor, ...]], class_index: int
) -> Contributions:
    """What each position adds to what an adapter says of a class; the derivation stands at the head of this file.

    Args:
        adapter: in evaluation mode, as `load_adapter` gives it.
        header: of the same file; it says how positions lie.
        features: of one image, any float dtype, by tap in the shape of the tap. One that is stored as an average may be the map
            `[C, H, W]` that the average is of: then it has positions too.
        class_index: of `header.classes`.

    Raises:
        AdapterError: what this adapter says is no sum over positions, or a tap is missing or has another shape.
        ConfigError: there is no such class.
    """
    pooled, mean = summed(adapter)
    if not 0 <= class_index < len(header.classes):
        raise ConfigError(f"class {class_index} was asked for, but there are 0 to {len(header.classes) - 1}")
    size = input_size(header)
    given = {tap.name: tap for tap in header.taps if tap.name in pooled.taps_used}
    for name in given.keys() - features.keys():
        raise AdapterError(f"adapter {adapter.name!r} reads tap {name!r}: {did_you_mean(name, features)}")
    taps = {name: TapPositions(tap, features[name], size) for name, tap in given.items()}
    with torch.enable_grad():
        vectors = pooled.pool({name: tap.feature[None] for name, tap in taps.items()})[0]
        weights, constant = _read_out(pooled, mean, class_index)
        found = torch.autograd.grad(vectors @ weights, [tap.vectors for tap in taps.values()], allow_unused=True)
    maps: dict[str, np.ndarray] = {}
    elsewhere: dict[str, float] = {}
    for (name, tap), gradient in zip(taps.items(), found, strict=True):
        if gradient is not None:  # None of a tap that was not chosen
            baseline = (mean * weights)[_reached_by(name, pooled)].sum()
            values = _of_positions(tap.vectors.detach(), gradient) - baseline / len(gradient)
            before, lying = tap.lay_out(values)
            if before is not None:
                elsewhere[name] = float(before.sum())
            if lying is not None:
                maps[name] = lying.cpu().numpy()
    answer = (vectors.detach() - mean) @ weights + constant
    return Contributions(maps, elsewhere, float(constant), float(answer))


def summed(adapter: Adapter) -> tuple[PooledAdapter, Float[Tensor, " features"]]:
    """An adapter whose logits are a sum over positions, and its mean vector.

    Raises:
        AdapterError: they are none.
    """
    mean = adapter.mean_vector if isinstance(adapter, PooledAdapter) else None
    if mean is None or not isinstance(adapter, PooledAdapter):
        able = [
            name
            for name, each in ADAPTERS.items()
            if issubclass(each, PooledAdapter) and each.mean_vector is not PooledAdapter.mean_vector
        ]
        raise AdapterError(
            f"what an adapter {adapter.name!r} says is no sum over positions of an image, so no map of it is exact: explain a run"
            f" of {', '.join(able)}"
        )
    return adapter, mean


def _read_out(
    adapter: PooledAdapter, mean: Float[Tensor, " features"], class_index: int
) -> tuple[Float[Tensor, " features"], Float[Tensor, ""]]:
    """The weights of pooled numbers in the answer for a class, and the answer for their mean."""
    at = mean.detach().clone().requires_grad_()
    answer = adapter.answers(adapter.classify(at[None]))[0, class_index]
    return torch.autograd.grad(answer, at)[0], answer.detach()


def _of_positions(
    vectors: Float[Tensor, "position channels"], gradient: Float[Tensor, "position channels"]
) -> Float[Tensor, " position"]:
    """What each adds, `q . x_p + (g_p - q) . (x_p - m)`."""
    of_average, mean = gradient.mean(dim=0), vectors.mean(dim=0)
    return vectors @ of_average + ((gradient - of_average) * (vectors - mean)).sum(dim=1)


def _reached_by(tap: str, adapter: PooledAdapter) -> Bool[Tensor, " features"]:
    """Which pooled numbers are of a tap."""
    # Not a number is never lost on its way, so nothing has to be known of how an adapter lays out what it pools.
    marked = {
        name: torch.full((1, *adapter.taps[name]), torch.nan if name == tap else 0.0) for name in adapter.taps_used
    }
    return adapter.pool(marked)[0].isnan()
