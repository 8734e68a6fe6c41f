"""Backbones of one's own: `package.module:factory`, a callable that returns an `nn.Module`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from udta.backbones.backbone import InputSpec
from udta.backbones.library import library_factory
from udta.backbones.sources.source import Source
from udta.errors import BackboneError, ConfigError, did_you_mean


def source(name: str) -> Source:
    """Of a factory. Its module may carry `input_spec`, a mapping with `evaluate`, `mean` and `std`, and have its weights.

    Raises:
        ConfigError: no such module or factory. BackboneError: importing it fails.
    """
    return Source(name, library_factory(name) or _import(name), _input)


def _import(name: str) -> Callable[..., nn.Module]:
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


def _input(module: nn.Module) -> InputSpec:
    """The `input_spec` of a module, checked; torchvision's ImageNet input where it has none."""
    declared: Any = getattr(module, "input_spec", None)
    if declared is None:
        return InputSpec()
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
