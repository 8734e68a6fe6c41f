"""Where a backbone comes from, as the three kinds of names have it in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from udta.backbones.backbone import InputSpec


@dataclass(frozen=True)
class Source:
    """How the module that a name stands for is made.

    `name` is its one spelling; `defaults` are arguments of `factory` that the user may change; `input_of` reads from the module
    what it expects to see, without `evaluate` where no transform here gives that. `loads` says that the factory fills the module
    with the weights asked for, so that no file is read.
    """

    name: str
    factory: Callable[..., nn.Module]
    input_of: Callable[[nn.Module], InputSpec]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    loads: bool = False
