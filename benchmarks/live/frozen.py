"""A head on live taps: the backbone runs in every epoch, without a gradient, and the head is all that trains."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from udta.backbones import Backbone, TapForward, parse_taps, resolve_taps
from udta.fingerprint import TapSpec


def tap_specs(backbone: Backbone, taps: str) -> tuple[TapSpec, ...]:
    """What `udta extract --taps` would store, in float32."""
    return resolve_taps(backbone, parse_taps(taps), "float32")


class OnLiveTaps(nn.Module):
    """`head(taps of the images)`, with the hooks and the fast forward pass that extraction has."""

    def __init__(self, backbone: Backbone, specs: tuple[TapSpec, ...], head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self._forward = TapForward(backbone, specs, "float32", torch.device("cpu"))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of uint8 images."""
        # A copy, because autograd refuses to keep tensors that were made in inference mode.
        features: Mapping[str, Tensor] = {tap: values.clone() for tap, values in self._forward(images).items()}
        logits: Tensor = self.head(features)
        return logits
