"""A small branch beside a module of a frozen network: its output is added to what the module gives."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from benchmarks.live.rival import Network
from udta.backbones import Backbone


class Beside(nn.Module):
    """`module(x) + branch(x)`; a branch that gives zero at first leaves the network as it was."""

    def __init__(self, module: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.module, self.branch = module, branch

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape that `module` gives."""
        return self.module(x) + self.branch(x)  # type: ignore[no-any-return]


def with_branches(backbone: Backbone, n_classes: int, branch: Callable[[nn.Module], nn.Module | None]) -> Network:
    """The frozen network with `branch(module)` beside each module for which it is not None; these and the last layer train."""
    network = Network(backbone, n_classes).requires_grad_(False)
    for name, module in list(network.body.features.named_modules()):
        added = branch(module) if name else None
        if added is not None:
            network.body.features.set_submodule(name, Beside(module, added))
    network.body.classifier[-1].requires_grad_(True)
    return network


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The same layer with its weights set to zero."""
    nn.init.zeros_(layer.weight)
    return layer
