"""Thin adapters: small modules from stored taps to logits, and the file that carries one.

base             what every adapter is: taps in, logits out, options, a recipe
output           what its task decides: temperature, thresholds, units
recipe_values    what the fields of a recipe may be
registry         adapters by name
_catalogue       `udta.adapters`: which there are, with options and recipes, for people
udta             ours: second-order pooling of middle taps beside a linear path
_choice          which taps it pools, and what they weigh
covariance       its pooling: the square root of a map's covariance along directions
directions       its directions, turned to tell classes apart
linear           the linear probe of the last tap, which others are built on
concat_linear    the linear probe of all taps
head2toe         a linear probe of the features that matter
_group_lasso     which those are
attentive        tokens of all taps, weighed by learned queries
ladder           a side network that climbs from tap to tap
closed_form      what closed forms over averages share
ridge            least squares in closed form
least_squares    ... for every regularisation at once, with predictions of what is left out
ranpac           least squares on random features
gda              classes as Gaussians of one covariance, in closed form
discriminant     ... for every regularisation at once, with predictions of what is left out
regularisation   the one that predicts best what is left out
knn              nearest neighbours
standardisation  mean and scale
samples          training samples gathered in memory, for what is solved
optimiser        how every training takes a step: clipping, AdamW, one cycle
_file            the adapter's file, and beside which features it may run
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udta._machine.callable_package import callable_as
from udta.adapters._catalogue import AdapterInfo, AdapterReport, OptionInfo, adapters
from udta.adapters.registry import ADAPTERS, build_adapter, find_adapter

if TYPE_CHECKING:
    from udta.adapters._file import AdapterHeader, load_adapter, save_adapter
    from udta.adapters.base import Adapter, AdapterOptions, PooledAdapter, Recipe, Samples
else:

    def __getattr__(name: str) -> Any:
        # They load torch, which takes two seconds; who lists the names of adapters does without.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from udta.adapters import _file, base

        return getattr(base if hasattr(base, name) else _file, name)


__all__ = [
    "ADAPTERS",
    "Adapter",
    "AdapterHeader",
    "AdapterInfo",
    "AdapterOptions",
    "AdapterReport",
    "OptionInfo",
    "PooledAdapter",
    "Recipe",
    "Samples",
    "adapters",
    "build_adapter",
    "find_adapter",
    "load_adapter",
    "save_adapter",
]

callable_as(__name__, adapters)
