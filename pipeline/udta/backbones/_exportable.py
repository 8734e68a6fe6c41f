"""A backbone up to its taps as one module that `torch.export` can follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from udta.backbones._backbone import Backbone
from udta.backbones._fold import fold_batchnorm
from udta.backbones._forward import watch, watched_modules
from udta.backbones._module import clone
from udta.backbones.reducers import Reducer
from udta.fingerprint import TapSpec


class TapModule(nn.Module):
    """8-bit images to float32 features of taps, in float32 arithmetic; `TapForward` does the same faster, as no module.

    Works on a copy of the backbone, with BatchNorm folded. The pass goes on to the end of the backbone, because the tracer of
    `torch.export` loses its place where an exception stops one (torch 2.14): what no tap needs is for whoever exports to remove.

    Raises:
        BackboneError: it is not frozen or cannot be copied.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: Backbone, taps: Sequence[TapSpec]) -> None:
        super().__init__()
        backbone.check_frozen()
        self._reducers: dict[str, list[tuple[str, Reducer]]] = {}
        for tap in taps:
            self._reducers.setdefault(tap.module, []).append((tap.name, Reducer.parse(tap.reducer)))
        watched = watched_modules(backbone, self._reducers)
        self.backbone = clone(backbone.module).float()
        fold_batchnorm(self.backbone, keep=watched.values())
        self._kept: dict[str, Tensor] = {}
        for name, module in watched.items():
            watch(self.backbone.get_submodule(module), partial(self._keep, name), given=name != module)
        # (x / 255 - mean) / std as one product and one sum.
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (backbone.input.mean, backbone.input.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: UInt8[Tensor, "batch height width channels"]) -> dict[str, Float[Tensor, "batch ..."]]:
        """Features by tap, `[batch, *shape of the tap]`."""
        self.backbone(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        # A tensor that stayed an attribute would be a part of the program.
        kept, self._kept = self._kept, {}
        return kept

    def _keep(self, module: str, output: Tensor) -> None:
        for name, reducer in self._reducers[module]:
            self._kept[name] = reducer(output).clone()  # what comes after may change it in place
