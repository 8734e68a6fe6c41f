"""Modules that others wrote: copies to work with, where they compute, and which part of one an error came from."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from udta.errors import BackboneError


def clone(module: nn.Module, *, share_parameters: bool = False) -> nn.Module:
    """A copy of a frozen module: whatever is done to it, and whatever a forward keeps in it, the module is left as it is.

    Args:
        module: in any state, such as with the weight that `torch.nn.utils.weight_norm` leaves as an ordinary attribute.
        share_parameters: the copy has the same parameters, which must not be changed; buffers and all else are its own.

    Raises:
        BackboneError: it holds something that cannot be copied.
    """
    # What stands in deepcopy's memo is taken for copied already.
    shared = {id(parameter): parameter for parameter in module.parameters()} if share_parameters else {}
    try:
        with _ResultsAsValues():
            return copy.deepcopy(module, shared)
    except Exception as error:  # whatever a stranger's attributes raise: locks, open files, generators
        raise BackboneError(
            f"the backbone cannot be copied ({type(error).__name__}: {error}); features are computed with a copy, so that it "
            "does not change: keep out of the module what cannot be copied"
        ) from error


class _ResultsAsValues(TorchFunctionMode):
    """Tensors that were computed (with a `grad_fn`) are copied by value: `deepcopy` refuses them otherwise."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        # `weight_norm` keeps g * v / |v| as such a tensor from the moment it is applied.
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))


def device_and_dtype(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """What its first parameter has; of a module without parameters, what PyTorch makes by default."""
    parameter = next(module.parameters(), torch.zeros(()))
    return parameter.device, parameter.dtype


def failed_in(module: nn.Module, error: BaseException) -> str:
    """`, in module 'layer1.0.conv1' (Conv2d)`: the innermost module whose code was running; empty where that is not known."""
    names = {id(each): name for name, each in module.named_modules()}
    # From the outermost frame to the one that raised; inside of a functional call `self` may be something else altogether.
    selves = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [each for each in selves if id(each) in names]
    if not inside:
        return ""
    name = names[id(inside[-1])]
    return f", in module {name!r} ({type(inside[-1]).__name__})" if name else ", in its own forward"
