"""Taps: which modules of a backbone can be kept, what comes out of them, and what is stored of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from udta._files.names import tap_problem
from udta.backbones._backbone import Backbone
from udta.backbones._budget import within
from udta.backbones._recommend import recommended
from udta.backbones._tap_names import named
from udta.backbones._trace import IMAGES, POOLED, Trace, input_size, trace
from udta.backbones.reducers import Geometry, Reducer, positions
from udta.backbones.reducers.none import Whole
from udta.errors import ConfigError, Problems, did_you_mean
from udta.fingerprint import TapSpec
from udta.store import row_bytes


@dataclass(frozen=True)
class TapRequest:
    """A module to keep, as the user asked; without a reducer the default for its shape is taken."""

    module: str
    reducer: Reducer | None = None


@dataclass(frozen=True)
class TapInfo:
    """A tappable module: `kind` is its class, `shape` its output for one image, `stored_shape` that after the default reducer.

    `bytes_per_image` are those of one view after the default reducer, as stored. `recommended` is the reducer that it is
    recommended with (empty: the default one), None where it is not recommended; `recommended_shape` and `recommended_bytes` are
    those with it, or none. The tap `pooled` is no module: its kind says which module is given it.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    default_reducer: str
    stored_shape: tuple[int, ...]
    bytes_per_image: int
    recommended: str | None
    recommended_shape: tuple[int, ...]
    recommended_bytes: int


def parse_taps(text: str) -> tuple[TapRequest, ...]:
    """Read `features.6,features.13=grid(14),features.13=avg`. Raises `ConfigError` with everything that is wrong."""
    problems, requests = Problems(), []
    # At commas that no bracket encloses: `a=grid(7,prefix=5),b`.
    for part in filter(None, (part.strip() for part in re.split(r",(?![^()]*\))", text))):
        name, equals, reducer = (piece.strip() for piece in part.partition("="))
        if reducer == POOLED:
            problems.add(
                f"{part!r}: {POOLED} is no reducer but a tap of its own, what the model feeds its head; write {POOLED}"
            )
            continue
        requests.append(TapRequest(name, problems.collect(Reducer.parse, reducer) if equals else None))
    if not requests and not problems.found:
        problems.add("no tap was given: name at least one module, see `udta taps BACKBONE`")
    for request in dict.fromkeys(requests):
        if requests.count(request) > 1:
            problems.add(f"tap {_text(request)!r} is listed {requests.count(request)} times")
    problems.raise_any()
    return tuple(requests)


def resolve_taps(
    backbone: Backbone, requests: Sequence[TapRequest], dtype: str, stored: Iterable[TapSpec] = ()
) -> tuple[TapSpec, ...]:
    """What is stored for each request, in the order in which the backbone computes them, of one module the largest first.

    Args:
        backbone: runs once, on black images of its input size.
        requests: what is asked for.
        dtype: in which it is stored.
        stored: taps of the store that grows by these; what is there already keeps its name.

    Raises:
        ConfigError: unknown modules (with the nearest names), modules that did not run or return no tensor, reducers that do
            not fit, one thing twice; every problem is listed.
        BackboneError: it fails, or cannot be copied.
    """
    traced, problems = trace(backbone), Problems()
    modules = [name for name, _ in backbone.module.named_modules() if name]
    for request in requests:
        problems.collect(_check_request, request, traced, modules, backbone)
    problems.raise_any()
    shapes = traced.tappable
    order = list(shapes)
    found = [_spec(backbone, each.module, each.reducer, shapes[each.module], dtype) for each in requests]
    for spec in dict.fromkeys(found):
        if found.count(spec) > 1:
            problems.add(f"tap '{spec.module}={spec.reducer}' is asked for {found.count(spec)} times")
    # By size and then by text, so that the order in which somebody asked for them decides nothing.
    found.sort(key=lambda spec: (order.index(spec.module), -math.prod(spec.shape), spec.reducer))
    specs = named(found, stored)
    for spec in specs:
        problems.collect(_check_name, spec.name)
    problems.raise_any()
    return specs


def list_taps(backbone: Backbone, dtype: str = "float16", budget: int | None = None) -> list[TapInfo]:
    """Every module that can be a tap, in the order in which their outputs are there.

    Args:
        backbone: runs once, on black images of its input size.
        dtype: in which features would be stored, for `bytes_per_image`.
        budget: bytes of one view that the recommended ones may take.

    Raises:
        BackboneError: it fails, or cannot be copied. ConfigError: its transform gives images of different sizes, or
            nothing that is recommended fits the budget.
    """
    traced = trace(backbone)
    shapes = traced.tappable
    kinds = {name: traced.outputs[name].kind for name in shapes}
    geometry = _geometry(backbone)
    places = {name: positions(shape, geometry) for name, shape in shapes.items()}

    def stored(name: str, reducer: str) -> TapSpec:
        return _spec(backbone, name, Reducer.parse(reducer) if reducer else None, shapes[name], dtype)

    def fits(name: str, reducer: str) -> bool:
        return Reducer.parse(reducer).problem(shapes[name], geometry) is None

    best = recommended(shapes, places, kinds, _summary(backbone, traced), fits)
    if budget is not None and best:
        best = within(budget, best, stored)
    infos = []
    for name, shape in shapes.items():
        spec, chosen = stored(name, ""), best.get(name)
        best_spec = None if chosen is None else stored(name, chosen)
        as_chosen = ((), 0) if best_spec is None else (best_spec.shape, row_bytes(best_spec))
        infos.append(TapInfo(name, kinds[name], shape, spec.reducer, spec.shape, row_bytes(spec), chosen, *as_chosen))
    return infos


def _summary(backbone: Backbone, traced: Trace) -> dict[str, str]:
    """The one tap that says what the model makes of an image, and its reducer; empty where there is none."""
    if POOLED in traced.tappable:
        return {POOLED: ""}
    # As a DeiT with two heads, whose average is no module's output: what both are given.
    shape = traced.tappable.get(traced.last or "", ())
    if not traced.last or len(shape) < 2:
        return {traced.last: ""} if traced.last and shape else {}
    read = len(shape) == 2 and getattr(backbone.module, "cls_token", None) is not None
    return {traced.last: "cls" if read else "avg"}


def recommended_taps(infos: Sequence[TapInfo]) -> str:
    """The taps to begin with, as `--taps` takes them."""
    chosen = {tap.name: tap.recommended for tap in infos if tap.recommended is not None}
    return ",".join(f"{name}={reducer}" if reducer else name for name, reducer in chosen.items())


def requests_for(taps: Iterable[TapSpec]) -> tuple[TapRequest, ...]:
    """What gives these taps again."""
    return tuple(TapRequest(tap.module, Reducer.parse(tap.reducer)) for tap in taps)


def taps_text(taps: Iterable[TapSpec]) -> str:
    """These taps as `--taps` takes them, whatever the default reducers are."""
    # Of a vector there is nothing to reduce.
    return ",".join(
        tap.module if len(tap.shape) == 1 and tap.reducer == "none" else f"{tap.module}={tap.reducer}" for tap in taps
    )


def _text(request: TapRequest) -> str:
    return f"{request.module}={request.reducer}" if request.reducer else request.module


def _check_request(request: TapRequest, traced: Trace, modules: Sequence[str], backbone: Backbone) -> None:
    name, output = request.module, traced.outputs.get(request.module)
    if name == POOLED and output is None:
        instead = f"; take {traced.last!r} with the reducer that suits it" if traced.last else ""
        raise ConfigError(
            f"this backbone has no tap {POOLED!r}: what it gives is not made by one classifier, or an Identity, from one vector "
            f"an image{instead}"
        )
    if output is None and name not in modules:
        inner, at, rest = name.partition("@")
        if at and inner in modules:
            raise ConfigError(
                f"{name!r} is how a store names it: ask for '{inner}={rest}', with brackets around numbers"
            )
        raise ConfigError(f"the backbone has no module {name!r}: {did_you_mean(name, modules)}")
    if output is None:
        raise ConfigError(f"module {name!r} does not run in a forward pass, so it cannot be a tap")
    _check_name(name)
    if output.calls > 1:
        raise ConfigError(
            f"module {name!r} runs {output.calls} times in a forward pass, so it is not one tap; take the module around it"
        )
    if output.shape is None:
        raise ConfigError(f"module {name!r} does not return one tensor, so it cannot be a tap; take a module inside it")
    if output.shape and output.shape[0] != IMAGES:
        raise ConfigError(
            f"module {name!r} gives {output.shape[0]} rows for {IMAGES} images (windows, tokens first, or nothing of the "
            "images), so it cannot be a tap; take the module around it"
        )
    shape, reducer = output.shape[1:], request.reducer or Reducer(Whole())
    problem = reducer.problem(shape, _geometry(backbone))
    if problem:
        raise ConfigError(f"tap {name!r}: {problem}")
    if reducer.reduction.reads_class_token and getattr(backbone.module, "cls_token", name) is None:
        raise ConfigError(f"tap {name!r}: this backbone has no class token; take avg")


def _check_name(name: str) -> None:
    if problem := tap_problem(name):
        raise ConfigError(problem)


def _spec(backbone: Backbone, module: str, reducer: Reducer | None, shape: tuple[int, ...], dtype: str) -> TapSpec:
    geometry = _geometry(backbone)
    chosen = reducer.settled(shape, geometry) if reducer else Reducer.default(shape, geometry)
    # On the device "meta" a tensor has a shape and no memory: the reducer itself tells what it makes of it.
    return TapSpec(module, str(chosen), tuple(chosen(torch.empty(1, *shape, device="meta")).shape[1:]), dtype)


def _geometry(backbone: Backbone) -> Geometry:
    """How its outputs lie in the image, where it says so in the way of timm."""
    declared = getattr(backbone.module, "num_prefix_tokens", None)
    # A stranger's attributes of these names may be anything.
    prefix = declared if isinstance(declared, int) else None
    return Geometry(input_size(backbone), prefix, getattr(backbone.module, "cls_token", True) is not None)
