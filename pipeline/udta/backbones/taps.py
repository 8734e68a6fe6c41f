"""Taps: which modules of a backbone can be kept, what comes out of them, and what is stored of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from udta.backbones.backbone import Backbone
from udta.backbones.reducers import Reducer, map_shape
from udta.data import Transform
from udta.errors import BackboneError, ConfigError, Problems, did_you_mean
from udta.fingerprint import TapSpec

# How many taps are recommended: the ends of the last stages.
_RECOMMENDED = 4


@dataclass(frozen=True)
class TapRequest:
    """A module to keep, as the user asked; without a reducer the default for its shape is taken."""

    name: str
    reducer: Reducer | None = None


@dataclass(frozen=True)
class TapInfo:
    """A tappable module: `kind` is its class, `shape` its output for one image, `stored_shape` that after the reducer."""

    name: str
    kind: str
    shape: tuple[int, ...]
    default_reducer: str
    stored_shape: tuple[int, ...]
    bytes_per_image: int
    recommended: bool


@dataclass(frozen=True)
class _Output:
    """What a module returned in a forward pass of one image: its tensor, or None for anything else, and how often it ran."""

    tensor: Tensor | None
    kind: str
    calls: int


def parse_taps(text: str) -> tuple[TapRequest, ...]:
    """Read `features.6,features.13=grid(14),features.18=avg`. Raises `ConfigError` with everything that is wrong."""
    problems, requests = Problems(), []
    for part in filter(None, (part.strip() for part in re.split(r",(?![^()]*\))", text))):
        name, equals, reducer = (piece.strip() for piece in part.partition("="))
        requests.append(TapRequest(name, problems.collect(Reducer.parse, reducer) if equals else None))
    if not requests:
        problems.add("no tap was given: name at least one module, see `udta taps BACKBONE`")
    names = [request.name for request in requests]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(f"tap {name!r} is listed {names.count(name)} times; a store keeps a module once")
    problems.raise_any()
    return tuple(requests)


def resolve_taps(backbone: Backbone, requests: Sequence[TapRequest], dtype: str) -> tuple[TapSpec, ...]:
    """What is stored for each request, in the order in which the backbone computes them.

    Raises:
        ConfigError: unknown modules (with the nearest names), modules that did not run or return no tensor, reducers that do
            not fit; every problem is listed.
    """
    outputs, problems = _trace(backbone), Problems()
    modules = [name for name, _ in backbone.module.named_modules() if name]
    for request in requests:
        problems.collect(_check_request, request, outputs, modules)
    problems.raise_any()
    wanted = {request.name: request.reducer for request in requests}
    return tuple(
        _spec(name, wanted[name], output.tensor, dtype)
        for name, output in outputs.items()
        if name in wanted and output.tensor is not None
    )


def list_taps(backbone: Backbone, dtype: str = "float16") -> list[TapInfo]:
    """Every module that can be a tap, in the order in which their outputs are there."""
    found = {
        name: output
        for name, output in _trace(backbone).items()
        if output.tensor is not None
        and output.calls == 1
        and output.tensor.ndim in (2, 3, 4)
        and len(output.tensor) == 1
    }
    recommended = _recommended(
        {name: tuple(output.tensor.shape[1:]) for name, output in found.items() if output.tensor is not None},
        {name: output.kind for name, output in found.items()},
    )
    infos = []
    for name, output in found.items():
        assert output.tensor is not None
        spec = _spec(name, None, output.tensor, dtype)
        size = math.prod(spec.shape) * np.dtype(dtype).itemsize
        shape = tuple(output.tensor.shape[1:])
        infos.append(TapInfo(name, output.kind, shape, spec.reducer, spec.shape, size, name in recommended))
    return infos


def _trace(backbone: Backbone) -> dict[str, _Output]:
    """One forward pass of a black image: what each module returned, in order of completion."""
    size = Transform.parse(backbone.input.evaluate).size
    if size is None:
        raise ConfigError(f"{backbone.input.evaluate} gives images of different sizes; end it with centre_crop(n)")
    outputs: dict[str, _Output] = {}

    def keep(name: str, module: nn.Module, result: object) -> None:
        before = outputs.pop(name, None)
        tensor = result if isinstance(result, Tensor) else None
        outputs[name] = _Output(tensor, type(module).__name__, before.calls + 1 if before else 1)

    hooks = [
        module.register_forward_hook(lambda module, _, result, name=name: keep(name, module, result))
        for name, module in backbone.module.named_modules()
        if name
    ]
    device, dtype = _placement(backbone.module)
    try:
        with torch.inference_mode():
            backbone.module(torch.zeros(1, 3, *size, device=device, dtype=dtype))
    except Exception as error:  # whatever a stranger's forward raises
        raise BackboneError(
            f"backbone {backbone.factory} fails on an image of {size[0]} x {size[1]} pixels: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def _placement(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    parameter = next(module.parameters(), torch.zeros(()))
    return parameter.device, parameter.dtype


def _check_request(request: TapRequest, outputs: dict[str, _Output], modules: Sequence[str]) -> None:
    name, output = request.name, outputs.get(request.name)
    if name not in modules:
        raise ConfigError(f"the backbone has no module {name!r}: {did_you_mean(name, modules)}")
    if output is None:
        raise ConfigError(f"module {name!r} does not run in a forward pass, so it cannot be a tap")
    if output.calls > 1:
        raise ConfigError(
            f"module {name!r} runs {output.calls} times in a forward pass, so it is not one tap; take the module around it"
        )
    if output.tensor is None:
        raise ConfigError(f"module {name!r} does not return one tensor, so it cannot be a tap; take a module inside it")
    if output.tensor.ndim and len(output.tensor) != 1:
        raise ConfigError(
            f"module {name!r} gives {len(output.tensor)} rows for one image (windows, or tokens first), so it cannot be a tap; "
            "take the module around it"
        )
    shape = tuple(output.tensor.shape[1:])
    problem = (request.reducer or Reducer("none")).problem(shape)
    if problem:
        raise ConfigError(f"tap {name!r}: {problem}")


def _spec(name: str, reducer: Reducer | None, output: Tensor, dtype: str) -> TapSpec:
    chosen = reducer or Reducer.default(tuple(output.shape[1:]))
    return TapSpec(name, str(chosen), tuple(chosen(output).shape[1:]), dtype)


def _recommended(shapes: Mapping[str, tuple[int, ...]], kinds: Mapping[str, str]) -> set[str]:
    """The ends of the last four stages: the last module before the map shrinks, at the depth that shows most stages.

    A network without maps (a ViT) has no stages: four blocks evenly spread over its longest list of modules of one kind.
    """
    stages: dict[str, str] = {}
    for depth in (0, 1, 2):
        here: dict[str, str] = {}
        for name, shape in shapes.items():
            if name.count(".") == depth and len(shape) == 3 and _area(shape) > 1:
                here[str(_area(shape))] = name
        stages = here if len(here) > len(stages) else stages
    if len(stages) > 1:
        return set(list(stages.values())[-_RECOMMENDED:])
    if not shapes:
        return set()
    siblings: dict[tuple[str, str], list[str]] = {}
    for name in shapes:
        siblings.setdefault((name.rpartition(".")[0], kinds[name]), []).append(name)
    (_, _), longest = max(siblings.items(), key=lambda item: (len(item[1]), -item[0][0].count(".")))
    return {longest[index] for index in np.linspace(len(longest) - 1, 0, _RECOMMENDED, endpoint=False).astype(int)}


def _area(shape: tuple[int, ...]) -> int:
    return math.prod(map_shape(shape)[1:])
