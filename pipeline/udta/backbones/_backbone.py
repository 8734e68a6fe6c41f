"""A backbone: a frozen module, the content hashes that identify it, and the input it expects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from udta.errors import BackboneError

# Names that an error shows before "...".
_SHOWN = 3
_BYTES = torch.uint8


@dataclass(frozen=True)
class InputSpec:
    """What the backbone wants to see: the evaluation transform, then (x / 255 - mean) / std for each channel.

    As many channels as `mean` and `std` have values. The default is that of torchvision's ImageNet networks, in RGB.
    """

    evaluate: str = "resize(256)|centre_crop(224)"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.mean)


@dataclass(frozen=True)
class Backbone:
    """`module` in evaluation mode without trainable parameters; `factory` is the canonical text it was built from.

    `source` says where it can be found again (`backbone`, `weights`), and of weights that were found by a name which they are
    (`id`, `revision`); it is a hint and identifies nothing.
    """

    module: nn.Module
    factory: str
    input: InputSpec = InputSpec()
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """SHA-256 of the module tree with its hyperparameters, as its `repr` prints them."""
        # Functions among the hyperparameters are printed with their address, which is another one in each process.
        printed = re.sub(r" at 0x[0-9a-f]+", "", repr(self.module))
        return hashlib.sha256(printed.encode()).hexdigest()

    @property
    def weights(self) -> str:
        """SHA-256 over name, dtype, shape and bytes of every parameter and buffer, sorted by name.

        Raises:
            BackboneError: state that is no tensor, as in a quantised network.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            if not isinstance(tensor, torch.Tensor):
                raise BackboneError(
                    f"backbone {self.factory} holds {name} as {type(tensor).__name__}, not as a tensor, so its weights cannot "
                    "be identified; a quantised network has a float version, such as ?quantize=false"
                )
            # Memory formats are how we compute: the same weights in channels_last are the same weights.
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
            # As bytes, because NumPy has no bfloat16; flat, because PyTorch views no scalar as another type.
            digest.update(values.flatten().view(dtype=_BYTES).numpy().data if values.numel() else b"")
        return digest.hexdigest()

    def fingerprint_fields(self) -> dict[str, str]:
        """Its part of a fingerprint: the text it was built from, and hashes of its architecture and its weights (hexadecimal)."""
        return {"factory": self.factory, "architecture": self.architecture, "weights": self.weights}

    def check_frozen(self) -> None:
        """Raises `BackboneError` if any module is in training mode or any parameter wants a gradient."""
        # Each module, not the root's flag: "frozen" BatchNorm that went on counting is a classic, and silent
        # (https://github.com/pytorch/pytorch/issues/86590, https://github.com/lightly-ai/lightly/issues/1438).
        training = [name or "(root)" for name, module in self.module.named_modules() if module.training]
        trainable = [name for name, parameter in self.module.named_parameters() if parameter.requires_grad]
        problems = []
        if training:
            problems.append(f"{len(training)} module(s) in training mode ({_some(training)}): call .eval()")
        if trainable:
            problems.append(
                f"{len(trainable)} trainable parameter(s) ({_some(trainable)}): call .requires_grad_(False)"
            )
        if problems:
            raise BackboneError(f"backbone {self.factory} is not frozen: " + "; ".join(problems))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
