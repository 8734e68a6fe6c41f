"""Copies of a module to work with: whatever is done to them, and whatever a forward keeps in them, it is left as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from udta.errors import BackboneError


def clone(module: nn.Module, *, share_parameters: bool = False) -> nn.Module:
    """A copy of a frozen module.

    Args:
        module: in any state, such as with the weight that `torch.nn.utils.weight_norm` leaves as an ordinary attribute.
        share_parameters: the copy has the same parameters, which must not be changed; buffers and all else are its own.

    Raises:
        BackboneError: it holds something that cannot be copied.
    """
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
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
