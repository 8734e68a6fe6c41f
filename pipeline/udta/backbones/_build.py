"""Building a backbone from what the user calls it: a name that one of the sources knows, as `name?key=value`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone, InputSpec
from udta.backbones._weights import load_weights
from udta.backbones.sources.registry import SOURCES, source_of
from udta.backbones.sources.source import WEIGHT_KEYWORDS, Blueprint, Source, is_pretrained
from udta.errors import BackboneError, ConfigError, Problems, UdtaError, did_you_mean
from udta.images import Transform

_PYTHON_WORDS = {"True": True, "False": False, "None": None}


def build_backbone(spec: str, weights: str | None = None, *, evaluate: str | None = None, seed: int = 0) -> Backbone:
    """A frozen backbone.

    Args:
        spec: a classification model of torchvision, else of timm (`timm:NAME` where both have it), or
            `package.module:factory`; each takes keyword arguments as `name?quantize=false&width=2`. A factory returns an
            `nn.Module`, which may carry `input_spec`, a mapping with `evaluate`, `mean` and `std`, and may come with its weights.
        weights: a file (`.safetensors`, or anything `torch.load(weights_only=True)` reads), `pretrained` or `pretrained@REV` for
            those that are published, the name of a torchvision weight enum, or `none`: what the factory returns. By default
            those of a name that means published weights, as `hf-hub:ORG/NAME` does, else none.
        evaluate: replaces the evaluation transform, as `resize(256)|centre_crop(224)`; a model that is built for one size of
            images is built for that of this one.
        seed: of the initial weights where none are loaded.

    Returns:
        The module in evaluation mode, with the hashes that identify it and the input that it expects.

    Raises:
        ConfigError: no such model, factory or keyword, or a timm model without timm. BackboneError: the factory failed.
        WeightsError: weights that are missing, do not fit, or must not be loaded.

    Example:
        >>> udta.build_backbone("mobilenet_v2").input.evaluate
        'resize(256)|centre_crop(224)'
    """
    name, given = parse_spec(spec)
    # Initial weights are drawn from torch's global generator, and a factory may do anything to that, or to the number of threads.
    with left_as_found(seed):
        source = _source(name, given)
        weights = source.default_weights if weights is None else weights
        blueprint = source.blueprint(name, weights, given, size=Transform.parse(evaluate).size if evaluate else None)
        module = _call(spec, blueprint, {**blueprint.defaults, **blueprint.arguments, **given})
        if weights != "none" and not blueprint.loads:
            load_weights(module, blueprint.file or Path(weights), blueprint.adapt)
    module.eval().requires_grad_(False)
    where = {
        "backbone": spec.replace(name, source.resolved(name), 1),
        "weights": blueprint.weights or _found_again(weights, blueprint.origin),
        **blueprint.origin,
    }
    factory = _canonical(blueprint.name, {**blueprint.arguments, **given})
    return Backbone(module, factory, _input(blueprint, module, evaluate), where)


def find_source(spec: str) -> Source:
    """The source that knows this name, before anything is built or fetched.

    Raises:
        ConfigError: there is none, or a keyword is refused; the nearest names are given.
    """
    return _source(*parse_spec(spec))


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """The name and the keyword arguments of `name?key=value&key=value`; nothing is looked up."""
    name, _, query = spec.partition("?")
    # Blank values are kept, or a misspelt `?width=` would be dropped and the default built.
    return name, {key: _value(text) for key, text in parse_qsl(query, keep_blank_values=True)}


def _source(name: str, given: Mapping[str, Any]) -> Source:
    source = source_of(name)
    # Also of a name that nobody knows: that a keyword is refused, whatever the name is, is better heard at once.
    problems = Problems()
    for key in sorted(given.keys() & set(source.refused_keywords if source else WEIGHT_KEYWORDS)):
        problems.add(
            f"backbone {name!r}: {key!r} is no keyword here; weights are given by --weights, as a file or by name"
        )
    problems.raise_any()
    if source is None:
        raise ConfigError(_unknown(name))
    return source


def _found_again(weights: str, origin: Mapping[str, str]) -> str:
    """What a store or an adapter remembers of `--weights`: a path from the root, as it may be opened in another folder."""
    if is_pretrained(weights) and "revision" in origin:
        return f"pretrained@{origin['revision']}"
    return str(Path(weights).resolve()) if Path(weights).is_file() else weights


def _unknown(name: str) -> str:
    if Path(name).is_file():
        return (
            f"backbone {name!r} is a file: name the architecture, and give the file as --weights; "
            "a TorchScript file has no modules that can be tapped"
        )
    names = {source.name: source.names() for source in SOURCES.values()}
    listing = " or ".join(source for source, known in names.items() if known)
    near = did_you_mean(name, dict.fromkeys(chain.from_iterable(names.values())))
    near += "" if near.endswith("?") else "."
    missing = {source.name: source.missing() for source in SOURCES.values()}
    more = "".join(f"; for {source}'s models: {install}" for source, install in missing.items() if install)
    return f"there is no backbone {name!r} in {listing}: {near} Your own is package.module:factory{more}"


def _call(spec: str, blueprint: Blueprint, arguments: dict[str, Any]) -> nn.Module:
    # Bound before it is called: a TypeError from inside of the factory is the factory's failure, not a wrong keyword.
    try:
        inspect.signature(blueprint.factory).bind(**arguments)
    except TypeError as error:
        raise ConfigError(f"backbone {spec!r}: {error}") from error
    try:
        module = blueprint.factory(**arguments)
    except UdtaError:  # of a source, which says what to do
        raise
    except Exception as error:
        if "unexpected keyword argument" in str(error):  # that a builder with **kwargs passed on
            raise ConfigError(f"backbone {spec!r}: {error}") from error
        raise BackboneError(f"backbone {spec!r}: the factory failed ({type(error).__name__}: {error})") from error
    return _checked(spec, module)


def _checked(spec: str, module: object) -> nn.Module:
    """What a factory returned, where hooks can be put into it and its weights exist."""
    # The one nn.Module without Python modules inside: hooks on its parts would never run.
    if isinstance(module, torch.jit.ScriptModule):
        raise BackboneError(
            f"backbone {spec!r}: the factory returned a TorchScript module, which cannot be tapped; return the nn.Module it was "
            "made from"
        )
    if not isinstance(module, nn.Module):
        raise BackboneError(f"backbone {spec!r}: the factory returned {type(module).__name__}, not a torch.nn.Module")
    # `nn.LazyLinear` and its like get their shapes in a first pass, which nothing here may be for: weights are loaded before it.
    lazy = [name for name, tensor in chain(module.named_parameters(), module.named_buffers()) if is_lazy(tensor)]
    if lazy:
        raise BackboneError(
            f"backbone {spec!r}: {len(lazy)} lazy parameter(s) have no values yet, such as {lazy[0]};"
            " run the module once in the factory"
        )
    return module


def _input(blueprint: Blueprint, module: nn.Module, evaluate: str | None) -> InputSpec:
    spec = blueprint.input_of(module)
    if not (evaluate or spec.evaluate):
        raise ConfigError(
            f"backbone {blueprint.name} pads its images or wants them not square, which has no default here: give --transform, "
            "such as 'resize(252,336,filter=bicubic)'"
        )
    return replace(spec, evaluate=evaluate or spec.evaluate)


def _canonical(name: str, arguments: Mapping[str, Any]) -> str:
    """One spelling for one meaning: sorted keys, values as JSON."""
    # It is in the fingerprint: `?b=1&a=False` must not make another store than `?a=false&b=1`.
    words = (
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in sorted(arguments.items())
    )
    return "?".join(filter(None, (name, "&".join(words))))


def _value(text: str) -> Any:
    """`false`, `3`, `0.5` as JSON has them, `False` and `None` as Python has (as text, False would be true), else text."""
    if text in _PYTHON_WORDS:
        return _PYTHON_WORDS[text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the second of brackets some thousand deep, as a data file might have them
        return text
