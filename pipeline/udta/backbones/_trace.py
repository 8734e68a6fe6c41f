"""One pass of black images: what each module of a backbone gives, in order, and which one is its head."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from udta._machine.process_state import left_as_found
from udta.backbones._backbone import Backbone
from udta.backbones._module import clone, device_and_dtype, failed_in
from udta.errors import BackboneError, ConfigError
from udta.images import Transform

# The tap that is no module's output: what the model itself feeds its head.
POOLED = "pooled"
# Two, because what has one row for them, such as a table of positions, does not depend on the images.
IMAGES = 2


@dataclass(frozen=True)
class Output:
    """What a module returned in a forward pass: the shape of its tensor, or None for anything else, and how often it ran."""

    shape: tuple[int, ...] | None
    kind: str
    calls: int

    @property
    def of_one(self) -> tuple[int, ...] | None:
        """The shape for one image; None where this is no tap."""
        # Called twice, a module has two outputs and no way to say which one is meant: ResNet's blocks share one ReLU.
        usable = self.shape is not None and self.calls == 1 and len(self.shape) in (2, 3, 4)
        return self.shape[1:] if self.shape and usable and self.shape[0] == IMAGES else None


@dataclass(frozen=True)
class Trace:
    """`outputs` by module, in the order in which they are there; `head` names the module whose input is the tap `pooled`.

    `last` is the last tap that is no classifier, which is what to take where there is no head.
    """

    outputs: Mapping[str, Output]
    head: str | None
    last: str | None

    @property
    def tappable(self) -> dict[str, tuple[int, ...]]:
        """The shape for one image of everything that can be a tap, in the order in which it is there."""
        return {name: output.of_one for name, output in self.outputs.items() if output.of_one is not None}


@dataclass(frozen=True)
class _Call:
    """A call of a module without modules inside: what went in, by shape, and what came out."""

    name: str
    module: nn.Module
    given: tuple[int, ...]
    passed_on: bool
    # Weak, so that a pass needs no more memory than it does: the result of all is held by whoever called it.
    gave: weakref.ref[Tensor]


class _Pass:
    """What hooks see of one pass."""

    def __init__(self) -> None:
        self.outputs: dict[str, Output] = {}
        self.calls: list[_Call] = []

    def watch(self, name: str, module: nn.Module) -> None:
        def keep(_module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object], result: object) -> None:
            before = self.outputs.pop(name, None)  # popped, so that it stands where its last call ended
            shape = tuple(result.shape) if isinstance(result, Tensor) else None
            self.outputs[name] = Output(shape, type(module).__name__, before.calls + 1 if before else 1)
            given = first_tensor(args, kwargs)
            if isinstance(result, Tensor) and given is not None and not any(module.children()):
                self.calls.append(_Call(name, module, tuple(given.shape), result is given, weakref.ref(result)))

        module.register_forward_hook(keep, with_kwargs=True)


@left_as_found()
def trace(backbone: Backbone) -> Trace:
    """What each module of it does with black images of its input size.

    Raises:
        BackboneError: it fails, or cannot be copied. ConfigError: its transform gives images of different sizes.
    """
    size = input_size(backbone)
    # A copy, since a forward may keep things for its next call: the fingerprint is that of a backbone that has not run yet.
    module, seen = clone(backbone.module, share_parameters=True), _Pass()
    for name, each in module.named_modules():
        if name:
            seen.watch(name, each)
    device, dtype = device_and_dtype(module)
    try:
        with torch.inference_mode():
            result = module(torch.zeros(IMAGES, backbone.input.channels, *size, device=device, dtype=dtype))
    except Exception as error:  # whatever a stranger's forward raises
        channels = backbone.input.channels
        raise BackboneError(
            f"backbone {backbone.factory} fails on an image of {size[0]} x {size[1]} pixels and {channels} channel(s), as many as"
            f" its input_spec has means{failed_in(module, error)} ({type(error).__name__}: {error})"
        ) from error
    taps = [
        name
        for name, output in seen.outputs.items()
        if output.of_one and not _is_classifier(module.get_submodule(name))
    ]
    last = taps[-1] if taps else None
    # A module that has the name is the one that is meant.
    head = None if POOLED in seen.outputs else _head(seen, result)
    return Trace(_with_pooled(seen, head), head.name, last) if head else Trace(seen.outputs, None, last)


def input_size(backbone: Backbone) -> tuple[int, int]:
    """Height and width of the images that it is given. Raises `ConfigError` where these are of different sizes."""
    size = Transform.parse(backbone.input.evaluate).size
    if size is None:
        raise ConfigError(f"{backbone.input.evaluate} gives images of different sizes; end it with centre_crop(n)")
    return size


# Found once for each module, since every pass that is made ready asks for it.
_HEADS: weakref.WeakKeyDictionary[nn.Module, str | None] = weakref.WeakKeyDictionary()


def head_of(backbone: Backbone) -> str:
    """The module whose input is what the model itself pooled. Raises `BackboneError` where there is none, and as `trace`."""
    if backbone.module not in _HEADS:
        _HEADS[backbone.module] = trace(backbone).head
    head = _HEADS[backbone.module]
    if head is None:
        raise BackboneError(
            f"backbone {backbone.factory} has no tap {POOLED!r} here: what it gives is made by no classifier"
        )
    return head


def first_tensor(args: Sequence[object], kwargs: Mapping[str, object]) -> Tensor | None:
    """The first tensor that a module was called with."""
    return next((given for given in (*args, *kwargs.values()) if isinstance(given, Tensor)), None)


def _head(seen: _Pass, result: Any) -> _Call | None:
    """The classifier, or the Identity in its place: it was given a vector, and what it gave is the network's output."""
    # timm's heads end with an Identity behind the classifier, which passes the same tensor on.
    last = [call for call in seen.calls if call.gave() is result and seen.outputs[call.name].calls == 1]
    named = [call for call in last if call.name == "head" and isinstance(call.module, nn.Identity)]
    places = [call for call in last[::-1] if isinstance(call.module, nn.Identity)]
    first = [call for call in last[:1] if not call.passed_on and _is_classifier(call.module)]
    found = next(iter(named or first or places), None)
    return found if found and len(found.given) == 2 and found.given[0] == IMAGES else None


def _is_classifier(module: nn.Module) -> bool:
    """A matrix of weights, as `Linear` and what people write in its place have, and no norm has."""
    return any(parameter.ndim == 2 for parameter in module.parameters(recurse=False))


def _with_pooled(seen: _Pass, head: _Call) -> dict[str, Output]:
    """The outputs with what the head is given in its place, right before what it gives."""
    given = Output(head.given, f"into {head.name}", 1)
    found: dict[str, Output] = {}
    for name, output in seen.outputs.items():
        found |= {POOLED: given, name: output} if name == head.name else {name: output}
    return found
