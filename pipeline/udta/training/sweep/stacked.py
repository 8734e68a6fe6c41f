"""K adapters of one architecture as one module: stacked parameters, one vectorised forward.

What adapters pool features to is computed before, once for all of them. Where all of them are shown the same batch, whatever else
does not depend on an adapter's own parameters, such as the standardisation of these vectors, is computed once too: under
`torch.func.vmap` an operation on unstacked tensors stays unstacked. For BatchNorm that needs its running statistics to be
unstacked, hence `_shared_buffers`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from udta.adapters import Adapter, PooledAdapter

# Pooled vectors `[batch, features]`, or `[batch, adapters, features]` where each is shown its own; of an adapter that pools
# nothing, its taps.
Inputs = Tensor | Mapping[str, Tensor]


class Stack:
    """Adapters that agree in everything but the values of their parameters and buffers.

    Attributes:
        parameters: by name, `[adapters, ...]`, leaves that require a gradient.
        buffers: by name, `[adapters, ...]`, or without the first axis where all adapters have the same one.
    """

    def __init__(self, adapters: Sequence[Adapter], example: Inputs, *, apart: bool = False) -> None:
        """`example` is a batch of any inputs of the right shapes: it shows which modules see the same for all adapters.

        `apart`: every adapter has inputs of its own, on the second axis; there BatchNorm's channels are in one piece.
        """
        self._axis = 1 if apart else None
        self._module = copy.deepcopy(adapters[0])
        if isinstance(self._module, PooledAdapter):
            self._module.forward = self._module.classify  # type: ignore[method-assign, assignment]  # this copy's alone
        stacked, buffers = stack_module_state(list(adapters))
        self.parameters = {name: values.detach().requires_grad_() for name, values in stacked.items()}
        self.buffers = {name: values.detach() for name, values in buffers.items()}
        self._dims: dict[str, int | None] = dict.fromkeys(self.buffers, 0)
        for name in self._shared_buffers(example):
            self.buffers[name], self._dims[name] = self.buffers[name][0].clone(), None

    def __call__(self, inputs: Inputs, *, training: bool) -> Float[Tensor, "adapters batch classes"]:
        """The logits of every adapter; in training, BatchNorm takes and updates the statistics of the batch."""
        self._module.train(training)
        run = vmap(self._run, in_dims=(0, self._dims, self._axis), randomness="different")
        logits: Tensor = run(self.parameters, self.buffers, inputs if isinstance(inputs, Tensor) else dict(inputs))
        return logits

    def state(self, number: int) -> dict[str, Tensor]:
        """The `state_dict` of one adapter."""
        values = {
            **{name: value.detach()[number] for name, value in self.parameters.items()},
            **{name: value if self._dims[name] is None else value[number] for name, value in self.buffers.items()},
        }
        return {name: values[name].clone() for name in self._module.state_dict()}

    def pick(self, kept: Sequence[int]) -> None:
        """Forget all adapters but these."""
        index = list(kept)
        self.parameters = {name: value.detach()[index].requires_grad_() for name, value in self.parameters.items()}
        self.buffers = {
            name: value if self._dims[name] is None else value[index] for name, value in self.buffers.items()
        }

    def _run(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Inputs) -> Tensor:
        logits: Tensor = functional_call(self._module, (parameters, buffers), (inputs,))
        return logits

    def _shared_buffers(self, example: Inputs) -> set[str]:
        """Constants, and the statistics of every BatchNorm whose input is the same for all adapters."""
        shared = set(self.buffers) - set(self._module.state_dict())
        hooks = []
        for name, module in self._module.named_modules():

            def note(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                if not torch._C._functorch.is_batchedtensor(inputs[0]):
                    shared.update(buffer for buffer in self.buffers if buffer.rpartition(".")[0] == name)

            if isinstance(module, _BatchNorm) and not module.affine:
                hooks.append(module.register_forward_pre_hook(note))
        with torch.no_grad():
            self(example, training=False)
        for hook in hooks:
            hook.remove()
        return shared
