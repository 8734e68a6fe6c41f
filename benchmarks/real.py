"""The real photograph sets and the backbone that benchmarks share; the environment variable UDTA_REAL_DATA says where."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from udta.backbones import Backbone, build_backbone

SETS = ("birds", "butterflies", "flowers", "food", "monkeys")
BACKBONE = "torchvision.models.quantization:mobilenet_v2?quantize=false"
TAPS = "features.13=grid(14),features.17,features.18=avg"
LAST_TAP = "features.18"


def real_data() -> Path:
    """The folder with `real/<set>/<class>/*.jpg` and `weights/mobilenet_v2_relu.pth`; ends the program where there is none."""
    if "UDTA_REAL_DATA" not in os.environ:
        sys.exit("set UDTA_REAL_DATA to the folder with real/ and weights/")
    return Path(os.environ["UDTA_REAL_DATA"])


def weights(real: Path) -> Path:
    """The file of the backbone's weights."""
    return real / "weights" / "mobilenet_v2_relu.pth"


def backbone(real: Path) -> Backbone:
    """The MobileNetV2, frozen."""
    return build_backbone(BACKBONE, str(weights(real)))
