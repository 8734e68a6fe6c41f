"""8-bit images to the answers of every adapter, as one module that `torch.export` can follow."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from udta.adapters import Adapter, AdapterHeader
from udta.backbones import Backbone, TapModule
from udta.fingerprint import TapSpec


class Program(nn.Module):
    """Normalisation, backbone, reducers, adapters, temperature and softmax, all in float32.

    Args:
        backbone: frozen; copied.
        adapters: by the name of its output; copied.
        headers: of the same.

    Attributes:
        size: height, width and channels of the images that it takes.
    """

    def __init__(
        self, backbone: Backbone, adapters: Mapping[str, Adapter], headers: Mapping[str, AdapterHeader]
    ) -> None:
        super().__init__()
        taps: dict[tuple[str, str], TapSpec] = {}
        for header in headers.values():
            for tap in header.taps:
                taps.setdefault((tap.module, tap.reducer), replace(tap, name=f"{tap.module}={tap.reducer}"))
        # By output, for each tap of its adapter what it is called here: two adapters may call different taps the same.
        self._names = {
            name: {tap.name: taps[tap.module, tap.reducer].name for tap in header.taps}
            for name, header in headers.items()
        }
        self.taps = TapModule(backbone, list(taps.values()))
        # A list, because a module dictionary refuses the dots of names.
        self.adapters = nn.ModuleList(_with_constants(adapters[name]) for name in headers)

    @property
    def outputs(self) -> list[str]:
        """Their names, in order."""
        return list(self._names)

    def forward(
        self, images: UInt8[Tensor, "batch height width channels"]
    ) -> dict[str, Float[Tensor, "batch classes"]]:
        """By output probabilities, or numbers in their units, as `udta predict` tells them of one view."""
        features = self.taps(images)
        found = {}
        for (output, names), adapter in zip(self._names.items(), self.adapters, strict=True):
            assert isinstance(adapter, Adapter)  # a list of modules does not say so
            found[output] = told(adapter, adapter({tap: features[name] for tap, name in names.items()}))
        return found


def told(adapter: Adapter, answers: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Answers as `udta predict` tells them: probabilities of classes or labels, or numbers in their units."""
    if adapter.task.exclusive:
        return answers.softmax(dim=1)
    return answers if adapter.task.in_units else answers.sigmoid()


def _with_constants(adapter: Adapter) -> Adapter:
    """A copy whose deciding buffers are arrays of NumPy: `torch.export` knows the value of no tensor that it traces."""
    copied = copy.deepcopy(adapter).cpu()
    for name in copied.deciding:
        value = getattr(copied, name).numpy()
        delattr(copied, name)
        setattr(copied, name, value)
    return copied
