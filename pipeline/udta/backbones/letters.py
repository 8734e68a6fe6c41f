"""The offline backbone: 0.48 million parameters, trained on rendered letters by `data/letters/train.py`; weights included.

It makes the whole way run without a download, on real transfer: it has seen the 52 Latin letters and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

# `udta.backbones.letters:letters_net` stands in users' stores, adapters and params.yaml: this module keeps its place and name.
WEIGHTS = Path(__file__).with_name("letters.safetensors")
SIDE = 32
N_LETTERS = 52


class LettersNet(nn.Module):
    """Four stages at 32, 16, 8 and 4 pixels, each convolution followed by BatchNorm and ReLU, then average and linear."""

    input_spec: ClassVar[dict[str, Any]] = {
        "evaluate": f"resize({SIDE},{SIDE})",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
    }

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(*_convolution(3, 32), *_convolution(32, 32))
        self.stage2 = nn.Sequential(nn.MaxPool2d(2), *_convolution(32, 64), *_convolution(64, 64))
        self.stage3 = nn.Sequential(nn.MaxPool2d(2), *_convolution(64, 128), *_convolution(128, 128))
        self.stage4 = nn.Sequential(nn.MaxPool2d(2), *_convolution(128, 160))
        self.classify = nn.Linear(160, N_LETTERS)

    def forward(self, images: Float[Tensor, "batch 3 32 32"]) -> Float[Tensor, "batch 52"]:
        """Logits of A to Z and a to z."""
        features = self.stage4(self.stage3(self.stage2(self.stage1(images))))
        logits: Tensor = self.classify(features.mean(dim=(2, 3)))
        return logits


def letters_net() -> LettersNet:
    """The trained network; its weights are stored as float16 and computed with as float32."""
    network = LettersNet()
    stored = safetensors.torch.load_file(WEIGHTS)
    # BatchNorm's counters of batches are integers, and stay what they are.
    network.load_state_dict(
        {name: values.float() if values.is_floating_point() else values for name, values in stored.items()}
    )
    return network


def save_letters_net(network: LettersNet, path: Path = WEIGHTS) -> None:
    """Write the weights as float16, half the size."""
    state = {
        name: values.to(torch.float16) if values.is_floating_point() else values
        for name, values in network.state_dict().items()
    }
    safetensors.torch.save_file({name: values.contiguous() for name, values in state.items()}, path)


def _convolution(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    # BatchNorm takes any bias away again.
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
