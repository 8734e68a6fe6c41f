"""torchvision's classification models: names, weight enums and the input that their weights were made for."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from udta.backbones.backbone import InputSpec
from udta.backbones.sources.source import Source
from udta.errors import WeightsError, did_you_mean
from udta.images import Transform
from udta.images.ops import CentreCrop, Resize

# The published weights of these two come from TensorFlow and want (x - 0.5) / 0.5; torchvision's builders turn our input into
# that when they load an enum, and would not for the same weights from a file. `init_weights` is slow and asked for by a warning.
_FROM_TENSORFLOW = ("googlenet", "inception_v3")


def _models() -> ModuleType:
    """`torchvision.models`, imported when it is asked for: it loads torch's compiler, 3 s that other backbones need not wait."""
    return importlib.import_module("torchvision.models")


def names() -> list[str]:
    """All of them."""
    found: list[str] = _models().list_models(module=_models())
    return found


def source(name: str, weights: str) -> Source:
    """Of one of `names`, with `weights` as `build_backbone` takes them.

    Raises:
        WeightsError: `weights` is neither `none`, nor a file, nor the name of an enum.
    """
    known = _models().get_model_weights(name).__members__
    enum = None if weights == "none" or Path(weights).is_file() else _enum(name, weights, known)
    defaults = {"transform_input": True, "init_weights": False} if name in _FROM_TENSORFLOW else {}
    # Weights from a file are most likely torchvision's first: the ones that its paper or reference recipe gave the network.
    spec = _input(enum or next(iter(known.values())))
    # The builder loads an enum itself: it knows what else belongs to it.
    return Source(
        name,
        _models().get_model_builder(name),
        lambda _: spec,
        {**defaults, "weights": enum},
        enum is not None,
    )


def weight_url(name: str, enum: str) -> str | None:
    """Where the published weights of one of `names` are; None where no enum has this name."""
    known = _models().get_model_weights(name).__members__
    return str(known[enum].url) if enum in known else None


def _enum(name: str, weights: str, known: dict[str, Any]) -> Any:
    if weights not in known:
        raise WeightsError(
            f"weights {weights!r}: there is no such weights file, and no torchvision weights of this name for {name}: "
            f"{did_you_mean(weights, [*known, 'none'])}"
        )
    return known[weights]


def _input(enum: Any) -> InputSpec:
    preset = enum.transforms()
    resize = Resize(preset.resize_size[0], filter=preset.interpolation.value)
    return InputSpec(str(Transform((resize, CentreCrop(preset.crop_size[0])))), tuple(preset.mean), tuple(preset.std))
