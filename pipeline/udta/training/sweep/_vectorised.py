"""K adapters of one architecture as one function: parameters with the adapters as first axis, one vectorised forward.

What adapters pool features to is computed before, once for all of them. Where all of them are shown the same batch, whatever else
does not depend on an adapter's own parameters, such as the standardisation of these vectors, is computed once too: under
`torch.func.vmap` an operation on tensors without that axis stays without it. For BatchNorm that needs its running statistics to
be so, hence `_shared_buffers`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from udta.adapters import Adapter, PooledAdapter
from udta.training.sources import VECTORS

# Pooled vectors `[batch, features]`, or `[batch, adapters, features]` where each is shown its own; of an adapter that pools
# nothing, its taps.
Inputs = Tensor | Mapping[str, Tensor]


class Vectorised:
    """Adapters that agree in everything but the values of their parameters and buffers, as a `Model` of a training.

    Args:
        adapters: on one device; those that pool must pool alike.
        apart: every adapter has vectors of its own, on the second axis; there BatchNorm's channels are in one piece.

    Attributes:
        parameters: by name, `[adapters, ...]`, leaves that require a gradient.
        buffers: by name, `[adapters, ...]`, or without the first axis where all adapters have the same one.
    """

    vectorised = True

    def __init__(self, adapters: Sequence[Adapter], *, apart: bool = False) -> None:
        self._axis = 1 if apart else None
        self._module = copy.deepcopy(adapters[0])
        self.task = self._module.task
        # Of this copy alone; what is trained has neither temperature nor units.
        trained = self._module.classify if isinstance(self._module, PooledAdapter) else self._module.training_logits
        self._module.forward = trained  # type: ignore[method-assign, assignment]
        found, buffers = stack_module_state(list(adapters))
        self.parameters = {name: values.detach().requires_grad_() for name, values in found.items()}
        self.buffers = {name: values.detach() for name, values in buffers.items()}
        self._dims: dict[str, int | None] = dict.fromkeys(self.buffers, 0)
        for name in self._shared_buffers(len(adapters)):
            self.buffers[name], self._dims[name] = self.buffers[name][0].clone(), None

    @property
    def taps_used(self) -> tuple[str, ...]:
        """Of each of them."""
        return self._module.taps_used

    def __call__(
        self, values: Mapping[str, Tensor], *, training: bool = True
    ) -> Float[Tensor, "adapters batch classes"]:
        """The logits of every adapter; in training, BatchNorm takes and updates the statistics of the batch."""
        self._module.train(training)
        # "different": what adapters draw, as for dropout, is not the same for all of them.
        run = vmap(self._run, in_dims=(0, self._dims, self._axis), randomness="different")
        logits: Tensor = run(self.parameters, self.buffers, self._inputs(values))
        return logits

    def targets(self, labels: Num[Tensor, ...]) -> Float[Tensor, "... classes"]:
        """Of labels that are standardised, each by its own adapter, where the task wants it."""
        return self.task.targets(labels, self._module.n_classes)

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

    @torch.no_grad()
    def _inputs(self, values: Mapping[str, Tensor]) -> Inputs:
        """What the adapters read: vectors that were pooled before, or what is made of the taps now, once for all."""
        if VECTORS in values:
            return values[VECTORS]
        taps = {tap: values[tap].float() for tap in self.taps_used}
        return self._module.pool(taps) if isinstance(self._module, PooledAdapter) else taps

    def _run(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Inputs) -> Tensor:
        logits: Tensor = functional_call(self._module, (parameters, buffers), (inputs,))
        return logits

    @torch.no_grad()
    def _shared_buffers(self, n_adapters: int) -> set[str]:
        """Constants, and the statistics of every BatchNorm that sees the same for all adapters: a batch of zeros shows which."""
        shared = set(self.buffers) - set(self._module.state_dict())
        hooks = []
        for name, module in self._module.named_modules():

            def note(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                # No public function says whether `vmap` runs over a tensor.
                if not torch._C._functorch.is_batchedtensor(inputs[0]):
                    shared.update(buffer for buffer in self.buffers if buffer.rpartition(".")[0] == name)

            if isinstance(module, _BatchNorm) and not module.affine:  # what is learned of others differs
                hooks.append(module.register_forward_pre_hook(note))
        device = next(iter(self.parameters.values())).device
        values = {tap: torch.zeros(2, *self._module.taps[tap], device=device) for tap in self.taps_used}
        if self._axis is not None:
            vectors = self._inputs(values)
            assert isinstance(vectors, Tensor), "only vectors in memory are shown apart"
            values = {VECTORS: vectors[:, None].expand(-1, n_adapters, -1)}
        self(values, training=False)  # statistics stay as they are
        for hook in hooks:
            hook.remove()
        return shared
