"""Taps: which modules of a backbone can be kept, what comes out of them, and what is stored of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from udta._files.names import tap_problem
from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone
from udta.backbones._module import clone, device_and_dtype, failed_in
from udta.backbones._recommend import recommended
from udta.backbones.reducers import Reducer, positions
from udta.backbones.reducers.none import Whole
from udta.errors import BackboneError, ConfigError, Problems, did_you_mean
from udta.fingerprint import TapSpec
from udta.images import Transform

# Two, because what has one row for them, such as a table of positions, does not depend on the images.
_IMAGES = 2


@dataclass(frozen=True)
class TapRequest:
    """A module to keep, as the user asked; without a reducer the default for its shape is taken."""

    name: str
    reducer: Reducer | None = None


@dataclass(frozen=True)
class TapInfo:
    """A tappable module: `kind` is its class, `shape` its output for one image, `stored_shape` that after the default reducer.

    `bytes_per_image` are those of one view after the default reducer, as stored. `recommended` is the reducer that it is
    recommended with (empty: the default one), None where it is not recommended.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    default_reducer: str
    stored_shape: tuple[int, ...]
    bytes_per_image: int
    recommended: str | None


@dataclass(frozen=True)
class _Output:
    """What a module returned in a forward pass: the shape of its tensor, or None for anything else, and how often it ran."""

    shape: tuple[int, ...] | None
    kind: str
    calls: int

    @property
    def of_one(self) -> tuple[int, ...] | None:
        """The shape for one image; None where this is no tap."""
        # Called twice, a module has two outputs and no way to say which one is meant: ResNet's blocks share one ReLU.
        usable = self.shape is not None and self.calls == 1 and len(self.shape) in (2, 3, 4)
        return self.shape[1:] if self.shape and usable and self.shape[0] == _IMAGES else None


def parse_taps(text: str) -> tuple[TapRequest, ...]:
    """Read `features.6,features.13=grid(14),features.18=avg`. Raises `ConfigError` with everything that is wrong."""
    problems, requests = Problems(), []
    # At commas that no bracket encloses: `a=grid(7,prefix=5),b`.
    for part in filter(None, (part.strip() for part in re.split(r",(?![^()]*\))", text))):
        name, equals, reducer = (piece.strip() for piece in part.partition("="))
        requests.append(TapRequest(name, problems.collect(Reducer.parse, reducer) if equals else None))
    if not requests:
        problems.add("no tap was given: name at least one module, see `udta taps BACKBONE`")
    # A store has one array a name; the same module with two reducers would need two.
    names = [request.name for request in requests]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(f"tap {name!r} is listed {names.count(name)} times; a store keeps a module once")
    problems.raise_any()
    return tuple(requests)


@left_as_found()
def resolve_taps(backbone: Backbone, requests: Sequence[TapRequest], dtype: str) -> tuple[TapSpec, ...]:
    """What is stored for each request, in the order in which the backbone computes them.

    Raises:
        ConfigError: unknown modules (with the nearest names), modules that did not run or return no tensor, reducers that do
            not fit; every problem is listed.
    """
    outputs, problems = _trace(backbone), Problems()
    modules = [name for name, _ in backbone.module.named_modules() if name]
    for request in requests:
        problems.collect(_check_request, request, outputs, modules, backbone)
    problems.raise_any()
    wanted = {request.name: request.reducer for request in requests}
    return tuple(
        _spec(backbone, name, wanted[name], shape, dtype)
        for name, shape in _tappable(outputs).items()
        if name in wanted
    )


@left_as_found()
def list_taps(backbone: Backbone, dtype: str = "float16") -> list[TapInfo]:
    """Every module that can be a tap, in the order in which their outputs are there.

    Args:
        backbone: runs once, on black images of its input size.
        dtype: in which features would be stored, for `bytes_per_image`.

    Raises:
        BackboneError: it fails, or cannot be copied. ConfigError: its transform gives images of different sizes.
    """
    outputs = _trace(backbone)
    shapes = _tappable(outputs)
    kinds = {name: outputs[name].kind for name in shapes}
    best = recommended(shapes, {name: positions(shape, _prefix(backbone)) for name, shape in shapes.items()}, kinds)
    infos = []
    for name, shape in shapes.items():
        spec = _spec(backbone, name, None, shape, dtype)
        size = math.prod(spec.shape) * np.dtype(dtype).itemsize
        infos.append(TapInfo(name, kinds[name], shape, spec.reducer, spec.shape, size, best.get(name)))
    return infos


def recommended_taps(infos: Sequence[TapInfo]) -> str:
    """The taps to begin with, as `--taps` takes them."""
    chosen = {tap.name: tap.recommended for tap in infos if tap.recommended is not None}
    return ",".join(f"{name}={reducer}" if reducer else name for name, reducer in chosen.items())


def _tappable(outputs: Mapping[str, _Output]) -> dict[str, tuple[int, ...]]:
    return {name: output.of_one for name, output in outputs.items() if output.of_one is not None}


def _trace(backbone: Backbone) -> dict[str, _Output]:
    """One forward pass of black images: what each module returned, in order of completion."""
    size = Transform.parse(backbone.input.evaluate).size
    if size is None:
        raise ConfigError(f"{backbone.input.evaluate} gives images of different sizes; end it with centre_crop(n)")
    outputs: dict[str, _Output] = {}

    def keep(name: str, module: nn.Module, result: object) -> None:
        before = outputs.pop(name, None)  # popped, so that it stands where its last call ended
        shape = tuple(result.shape) if isinstance(result, Tensor) else None
        outputs[name] = _Output(shape, type(module).__name__, before.calls + 1 if before else 1)

    # A copy, since a forward may keep things for its next call: the fingerprint is that of a backbone that has not run yet.
    module = clone(backbone.module, share_parameters=True)
    for name, each in module.named_modules():
        if name:
            each.register_forward_hook(lambda each, _, result, name=name: keep(name, each, result))
    device, dtype = device_and_dtype(module)
    try:
        with torch.inference_mode():
            module(torch.zeros(_IMAGES, 3, *size, device=device, dtype=dtype))
    except Exception as error:  # whatever a stranger's forward raises
        raise BackboneError(
            f"backbone {backbone.factory} fails on an image of {size[0]} x {size[1]} pixels{failed_in(module, error)} "
            f"({type(error).__name__}: {error})"
        ) from error
    return outputs


def _check_request(
    request: TapRequest, outputs: Mapping[str, _Output], modules: Sequence[str], backbone: Backbone
) -> None:
    name, output = request.name, outputs.get(request.name)
    if name not in modules:
        raise ConfigError(f"the backbone has no module {name!r}: {did_you_mean(name, modules)}")
    if output is None:
        raise ConfigError(f"module {name!r} does not run in a forward pass, so it cannot be a tap")
    if problem := tap_problem(name):
        raise ConfigError(problem)
    if output.calls > 1:
        raise ConfigError(
            f"module {name!r} runs {output.calls} times in a forward pass, so it is not one tap; take the module around it"
        )
    if output.shape is None:
        raise ConfigError(f"module {name!r} does not return one tensor, so it cannot be a tap; take a module inside it")
    if output.shape and output.shape[0] != _IMAGES:
        raise ConfigError(
            f"module {name!r} gives {output.shape[0]} rows for {_IMAGES} images (windows, tokens first, or nothing of the "
            "images), so it cannot be a tap; take the module around it"
        )
    shape, reducer = output.shape[1:], request.reducer or Reducer(Whole())
    problem = reducer.on_tokens(shape, _prefix(backbone)).problem(shape)
    if problem:
        raise ConfigError(f"tap {name!r}: {problem}")
    if reducer.reduction.reads_class_token and getattr(backbone.module, "cls_token", name) is None:
        raise ConfigError(f"tap {name!r}: this backbone has no class token; take avg")


def _spec(backbone: Backbone, name: str, reducer: Reducer | None, shape: tuple[int, ...], dtype: str) -> TapSpec:
    declared = _prefix(backbone)
    chosen = reducer.on_tokens(shape, declared) if reducer else Reducer.default(shape, declared)
    # On the device "meta" a tensor has a shape and no memory: the reducer itself tells what it makes of it.
    return TapSpec(name, str(chosen), tuple(chosen(torch.empty(1, *shape, device="meta")).shape[1:]), dtype)


def _prefix(backbone: Backbone) -> int | None:
    """How many tokens come before those of the grid, where the backbone says so in the way of timm."""
    declared = getattr(backbone.module, "num_prefix_tokens", None)
    # A stranger's attribute of this name may be anything.
    return declared if isinstance(declared, int) else None
