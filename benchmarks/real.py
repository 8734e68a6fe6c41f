"""The real photograph sets and the backbones that benchmarks share; the environment variable UDTA_REAL_DATA says where."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from udta.backbones import Backbone, build_backbone

SETS = ("birds", "butterflies", "flowers", "food", "monkeys", "textures")


@dataclass(frozen=True)
class Frozen:
    """A backbone that accuracy is measured with.

    `taps` is what is stored where they are chosen by hand, `by_hand` those of them that `udta` did best with, by their names in
    the store; `last` is the one that the regression reads, of whose tokens the first `prefix` are no patches.
    """

    name: str
    title: str
    factory: str
    weights_file: str
    taps: str
    by_hand: tuple[str, ...]
    last: str
    prefix: int = 0

    def weights(self, real: Path) -> Path:
        """The file of its weights."""
        return real / "weights" / self.weights_file

    def build(self, real: Path) -> Backbone:
        """The network itself, frozen."""
        return build_backbone(self.factory, str(self.weights(real)))


MOBILENET = Frozen(
    name="mobilenet_v2",
    title="MobileNetV2",
    factory="torchvision.models.quantization:mobilenet_v2?quantize=false",
    weights_file="mobilenet_v2_relu.pth",
    taps="features.13=grid(14),features.17,features.18=avg",
    by_hand=("features.13", "features.17", "features.18"),
    last="features.18",
)
DEIT = Frozen(
    name="deit_tiny",
    title="DeiT-tiny",
    factory="deit_tiny_patch16_224",
    weights_file="deit_tiny_patch16_224.safetensors",
    taps="blocks.5=grid(14),blocks.8=grid(14),norm=none,norm=cls",
    by_hand=("blocks.5", "blocks.8", "norm@cls"),
    last="norm",
    prefix=1,
)
BACKBONES = {each.name: each for each in (MOBILENET, DEIT)}
# What benchmarks with one backbone take.
BACKBONE, TAPS, LAST_TAP = MOBILENET.factory, MOBILENET.taps, MOBILENET.last


def real_data() -> Path:
    """The folder with `real/<set>/<class>/*.jpg` and `weights/`; ends the program where there is none."""
    if "UDTA_REAL_DATA" not in os.environ:
        sys.exit("set UDTA_REAL_DATA to the folder with real/ and weights/")
    return Path(os.environ["UDTA_REAL_DATA"])


def weights(real: Path) -> Path:
    """The file of the MobileNetV2's weights."""
    return MOBILENET.weights(real)


def backbone(real: Path) -> Backbone:
    """The MobileNetV2, frozen."""
    return MOBILENET.build(real)
