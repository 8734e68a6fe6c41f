"""torch.compile for a backbone with taps: fewer passes over memory, for a minute of compiling before the first batch."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn


def compile_between_taps(module: nn.Module, taps: Collection[str], name: str = "") -> int:
    """Compile the largest submodules that have no tap inside of them; returns how many.

    Args:
        module: changed in place.
        taps: names of modules of the backbone, from its root.
        name: of `module` in the backbone, empty for the backbone itself.
    """
    # A tap's hook copies its output before the next module can change it in place, and ends the pass behind the last one: neither
    # can be traced, so compiled code ends where a tap is. A tap itself may be compiled, since hooks run around `forward`.
    if not any(tap.startswith(f"{name}." if name else "") and tap != name for tap in taps):
        # Not `dynamic`: batches are filled up to one size, and code for one shape needs no guards on it.
        module.forward = torch.compile(_with_own_code(module.forward), dynamic=False)
        return 1
    return sum(
        compile_between_taps(child, taps, f"{name}.{part}" if name else part) for part, child in module.named_children()
    )


def _with_own_code(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The same method with a copy of its code object."""
    # torch keeps what it compiled by code object, at most eight for each (torch._dynamo.config.recompile_limit): the ninth
    # block of one class would run uncompiled, with a warning at most.
    assert isinstance(forward, types.MethodType)  # a module whose forward was replaced has no weights of its own
    function = forward.__func__
    copied = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__  # the constructor takes defaults of positional arguments alone
    return types.MethodType(copied, forward.__self__)
