"""Building a backbone from what the user calls it: a torchvision name, or `package.module:factory?key=value`."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qsl

import torch
import torchvision.models
from torch import nn

from udta.backbones.backbone import Backbone, InputSpec
from udta.backbones.weights import load_weights
from udta.errors import BackboneError, ConfigError, WeightsError, did_you_mean

_PYTHON_WORDS = {"True": True, "False": False, "None": None}


def build_backbone(spec: str, weights: str = "none", *, evaluate: str | None = None, seed: int = 0) -> Backbone:
    """A frozen backbone.

    Args:
        spec: a torchvision classification model, or `package.module:factory`; both take keyword arguments as
            `name?quantize=false&width=2`. A factory returns an `nn.Module`, which may carry `input_spec`, a mapping with
            `evaluate`, `mean` and `std`, and may come with its weights.
        weights: a file (`.safetensors`, or anything `torch.load(weights_only=True)` reads), the name of a torchvision weight
            enum, or `none`: what the factory returns.
        evaluate: replaces the evaluation transform.
        seed: of the initial weights where none are loaded.

    Raises:
        ConfigError: no such model, factory or keyword. BackboneError: the factory failed.
        WeightsError: weights that are missing, do not fit, or must not be loaded.
    """
    name, _, query = spec.partition("?")
    given = {key: _value(text) for key, text in parse_qsl(query, keep_blank_values=True)}
    factory, enum = _factory(name), _weight_enum(name, weights)
    # torchvision's builder loads an enum itself: it knows what else belongs to it, such as `transform_input` of Inception.
    arguments = {"weights": enum, **given} if "weights" in inspect.signature(factory).parameters else given
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _call(spec, factory, arguments)
    if weights != "none" and enum is None:
        load_weights(module, Path(weights))
    module.eval().requires_grad_(False)
    source = {"backbone": spec, "weights": str(Path(weights).resolve()) if Path(weights).is_file() else weights}
    return Backbone(module, _canonical(name, given), _input(module, enum, evaluate), source)


def _factory(name: str) -> Callable[..., nn.Module]:
    if ":" not in name:
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise ConfigError(
                f"there is no backbone {name!r} in torchvision: {did_you_mean(name, known)} Your own is package.module:factory"
            )
        builder: Callable[..., nn.Module] = torchvision.models.get_model_builder(name)
        return builder
    package, _, attribute = name.partition(":")
    sys.path.insert(0, "")  # a factory in the current folder, as `python -m` would find it
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"backbone {name!r}: module {package!r} cannot be imported ({error})") from error
    except Exception as error:  # whatever a stranger's module raises
        raise BackboneError(
            f"backbone {name!r}: importing {package!r} fails ({type(error).__name__}: {error})"
        ) from error
    finally:
        sys.path.remove("")
    found = getattr(module, attribute, None)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(
            f"backbone {name!r}: {package} has no factory {attribute!r}: {did_you_mean(attribute, functions)}"
        )
    return found  # type: ignore[no-any-return]  # checked when it has been called


def _weight_enum(name: str, weights: str) -> Any:
    """The torchvision weight enum that `weights` names; None for `none`, a file, or a factory that is not torchvision's."""
    if ":" in name or weights == "none" or Path(weights).is_file():
        return None
    known = torchvision.models.get_model_weights(name).__members__
    if weights not in known:
        raise WeightsError(
            f"weights {weights!r}: there is no such weights file, and no torchvision weights of this name for {name}: "
            f"{did_you_mean(weights, [*known, 'none'])}"
        )
    return known[weights]


def _call(spec: str, factory: Callable[..., nn.Module], arguments: dict[str, Any]) -> nn.Module:
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        raise ConfigError(f"backbone {spec!r}: {error}") from error
    try:
        module = factory(**arguments)
    except URLError as error:
        url = getattr(arguments.get("weights"), "url", "them")
        raise WeightsError(
            f"backbone {spec!r}: its weights cannot be downloaded ({error}); fetch {url} elsewhere and give the file"
        ) from error
    except Exception as error:
        raise BackboneError(f"backbone {spec!r}: the factory failed ({type(error).__name__}: {error})") from error
    if not isinstance(module, nn.Module):
        raise BackboneError(f"backbone {spec!r}: the factory returned {type(module).__name__}, not a torch.nn.Module")
    return module


def _input(module: nn.Module, enum: Any, evaluate: str | None) -> InputSpec:
    spec = InputSpec()
    declared = getattr(module, "input_spec", None)
    if declared is not None:
        spec = _declared(declared)
    elif enum is not None:
        preset = enum.transforms()
        transform = f"resize({preset.resize_size[0]})|centre_crop({preset.crop_size[0]})"
        spec = InputSpec(transform, tuple(preset.mean), tuple(preset.std))
    return InputSpec(evaluate, spec.mean, spec.std) if evaluate else spec


def _declared(declared: Any) -> InputSpec:
    """The `input_spec` of a module, checked."""
    try:
        mean, std = (tuple(float(value) for value in declared[name]) for name in ("mean", "std"))
        if len(mean) == len(std) == 3 and min(std) > 0:
            return InputSpec(str(declared["evaluate"]), mean, std)
    except (TypeError, KeyError, ValueError):
        pass  # the error below says what it should be
    raise BackboneError(
        f"the backbone's input_spec is {declared!r}, but must be like {{'evaluate': 'resize(256)|centre_crop(224)', "
        "'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}"
    )


def _canonical(name: str, arguments: Mapping[str, Any]) -> str:
    """One spelling for one meaning: sorted keys, values as JSON."""
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
    except ValueError:
        return text
