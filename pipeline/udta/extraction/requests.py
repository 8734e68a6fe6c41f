"""From the options of several extractions to everything that they need, with the mistakes of all reported at once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from udta._files.paths import local_path
from udta.backbones import Backbone
from udta.errors import ConfigError, Problems, did_you_mean
from udta.extraction.request import Request, check_options, make_request, manifest_of
from udta.images import Manifest

# What a store of several may have of its own; everything else decides which samples there are or how the work is done.
_OWN = (
    "backbone", "taps", "out", "weights", "transform", "augment", "decoder", "views",
    "compute", "dtype", "codec", "format", "if_stale", "allow_impure",
)  # fmt: skip
_REQUIRED = ("backbone", "taps", "out")


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those that a store may have of its own, and those that hold for all stores."""
    own = {name: value for name, value in options.items() if name in _OWN}
    return own, {name: value for name, value in options.items() if name not in _OWN}


def make_requests(
    images: str | Path | Manifest,
    stores: Sequence[Mapping[str, Any]],
    *,
    splits: str | Path | None = None,
    seed: int = 0,
    **how: Any,
) -> list[Request]:
    """`make_request` for each store, over one manifest. Raises as it does, and `ConfigError` with the problems of all stores."""
    _check_arguments(stores)
    wanted = [
        {name: value for name, value in store.items() if name not in ("out", "if_stale")} | how for store in stores
    ]
    checked = set(inspect.signature(check_options).parameters)
    found: list[list[str]] = []
    for options in wanted:
        problems = Problems()
        problems.collect(check_options, **{name: value for name, value in options.items() if name in checked})
        found.append(problems.found)
    _raise_named(stores, found)
    manifest, requests, found = manifest_of(images, splits, seed, how.get("on_error", "fail")), [], []
    for options in wanted:
        problems = Problems()
        requests.append(problems.collect(make_request, manifest, seed=seed, **options))
        found.append(problems.found)
    _raise_named(stores, found)
    return [request for request in requests if request is not None]


def _check_arguments(stores: Sequence[Mapping[str, Any]]) -> None:
    """Names of arguments, and that every store has a place of its own."""
    problems = Problems()
    if not stores:
        problems.add("no store is asked for: give at least one, with backbone, taps and out")
    for number, store in enumerate(stores, start=1):
        for name in sorted(store.keys() - set(_OWN)):
            problems.add(f"store {number}: {name!r} is no option of a single store; {did_you_mean(name, _OWN)}")
        for name in _REQUIRED:
            if name not in store:
                problems.add(f"store {number}: {name} is missing")
    found = [problems.collect(local_path, "out", store["out"]) for store in stores if "out" in store]
    places = [place.resolve() for place in found if place is not None]
    for number, place in enumerate(places):
        for other in places[:number]:
            if place == other:
                problems.add(f"two stores are to be written to {place}: give each an out of its own")
            elif place in other.parents or other in place.parents:
                problems.add(f"one store would lie inside another, {place} and {other}: give each a place of its own")
    problems.raise_any()


def _raise_named(stores: Sequence[Mapping[str, Any]], found: Sequence[Sequence[str]]) -> None:
    """Raise what is wrong with any store, with its backbone; what is wrong with all of them once, without."""
    everywhere = [problem for problem in found[0] if all(problem in others for others in found)]
    named = [
        problem if len(stores) == 1 else f"backbone {_name(store['backbone'])} for {store['out']}: {problem}"
        for store, problems in zip(stores, found, strict=True)
        for problem in problems
        if problem not in everywhere
    ]
    if everywhere or named:
        raise ConfigError([*everywhere, *named])


def _name(backbone: str | Backbone) -> str:
    return backbone.factory if isinstance(backbone, Backbone) else backbone
