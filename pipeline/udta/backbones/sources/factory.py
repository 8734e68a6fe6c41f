"""Backbones of one's own: `package.module:factory`, a callable that returns an `nn.Module`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from udta.backbones._backbone import InputSpec
from udta.backbones.sources.source import Blueprint, Source, is_pretrained
from udta.errors import BackboneError, ConfigError, WeightsError, did_you_mean

_LETTERS = "udta.backbones.letters:letters_net"
# Classification alone: builders of `segmentation` and `detection` fetch the weights of their own backbone by default.
_TORCHVISION = ("torchvision.models", "torchvision.models.quantization")


class Factory(Source):
    """Any callable that can be imported, also from the current folder."""

    name: ClassVar[str] = "factory"
    spelling: ClassVar[str] = "package.module:factory"
    # The user's own code: what its keywords mean is its own affair, and it may load its weights itself.
    refused_keywords: ClassVar[Sequence[str]] = ()

    def accepts(self, name: str) -> bool:
        """Whatever has a colon and is no other source's, which the registry has seen to."""
        return ":" in name

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a factory. Its module may carry `input_spec`, a mapping with `evaluate`, `mean` and `std`, and have its weights.

        Raises:
            ConfigError: no such module or factory. BackboneError: importing it fails. WeightsError: weights by a name.
        """
        if is_pretrained(weights):
            raise WeightsError(
                f"weights {weights!r}: udta knows none of {name}: give a file, or `none` for those that the factory returns"
            )
        return Blueprint(name, _vouched_for(name) or _import(name), _input)

    def is_safe_from_file(self, name: str) -> bool:
        """One of the factories that udta vouches for; any other module would be imported, which runs what is in it."""
        return _vouched_for(name) is not None


def _vouched_for(name: str) -> Callable[..., nn.Module] | None:
    """The factory of this name where it is one of ours or a model builder of torchvision, else None.

    Building one of these runs code of torchvision or of udta, wherever the name came from. It is looked up in fixed lists: no
    module is imported because of what a name says, and none from the current folder.
    """
    if name == _LETTERS:
        from udta.backbones.letters import letters_net

        return letters_net
    package, _, attribute = name.partition(":")
    if package not in _TORCHVISION:
        return None
    models, module = (importlib.import_module(known) for known in ("torchvision.models", package))
    # What torchvision registered itself; the modules hold other functions as well, such as those that load from a URL.
    builders = {models.get_model_builder(known) for known in models.list_models(module=module)}
    found: Callable[..., nn.Module] | None = vars(module).get(attribute)
    return found if found in builders else None


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
    """The `input_spec` of a module, checked, with a mean for each channel; torchvision's ImageNet input where it has none."""
    declared: Any = getattr(module, "input_spec", None)
    if declared is None:
        return InputSpec()
    try:
        mean, std = (tuple(float(value) for value in declared[name]) for name in ("mean", "std"))
        if len(mean) == len(std) and min(std) > 0:
            return InputSpec(str(declared["evaluate"]), mean, std)
    except (TypeError, KeyError, ValueError):
        pass  # the error below says what it should be
    raise BackboneError(
        f"the backbone's input_spec is {declared!r}, but must be like {{'evaluate': 'resize(256)|centre_crop(224)', "
        "'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}, a value for each channel"
    )
