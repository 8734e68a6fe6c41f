"""Factories that udta vouches for: building one of them runs code of torchvision or of udta, wherever its name came from.

A name is looked up in fixed lists. No module is imported because of what a name says, and none from the current folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from torch import nn

_LETTERS = "udta.backbones.letters:letters_net"
# Classification alone: builders of `segmentation` and `detection` fetch the weights of their own backbone by default.
_TORCHVISION = ("torchvision.models", "torchvision.models.quantization")


def library_factory(name: str) -> Callable[..., nn.Module] | None:
    """The factory of `package.module:factory` where that is one of ours or a model builder of torchvision, else None."""
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
