"""Where in a backbone an error came from, in the words of `udta taps`."""

from __future__ import annotations

import traceback

from torch import nn


def failed_in(module: nn.Module, error: BaseException) -> str:
    """`, in module 'layer1.0.conv1' (Conv2d)`: the innermost module whose code was running; empty where that is not known."""
    names = {id(each): name for name, each in module.named_modules()}
    selves = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [each for each in selves if id(each) in names]
    if not inside:
        return ""
    name = names[id(inside[-1])]
    return f", in module {name!r} ({type(inside[-1]).__name__})" if name else ", in its own forward"
