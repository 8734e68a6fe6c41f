"""timm's models (the extra `timm`): names with or without a pretrained tag, and the input that their configuration asks for.

Nothing is fetched: a model is built without weights, which come from a file. The tag, as in `vit_small_patch14_dinov2.lvd142m`,
says which published weights are meant; their input and number of classes are the defaults, so that their file fits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from torch import nn

from udta.backbones._backbone import InputSpec
from udta.backbones.sources.source import Blueprint, Source
from udta.errors import ConfigError, WeightsError, did_you_mean
from udta.images import Transform
from udta.images.ops import FILTERS, CentreCrop, Op, Resize

_INSTALL = "pip install 'udta[timm]'"


class Timm(Source):
    """Everything that `timm.list_models` lists."""

    name: ClassVar[str] = "timm"
    prefix: ClassVar[str] = "timm:"

    def names(self) -> list[str]:
        """All architectures, and all with a tag; none where timm is not installed."""
        timm = _timm()
        return [] if timm is None else [*timm.list_models(), *timm.list_models(pretrained=True)]

    def missing(self) -> str:
        """How to install timm."""
        return _INSTALL if _timm() is None else ""

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of one of `names`; `img_size` among the arguments replaces the image size of its configuration.

        Raises:
            ConfigError: no such model, or no timm. WeightsError: `weights` is neither `none` nor a file.
        """
        timm, bare = _timm(), name.removeprefix(self.prefix)
        if timm is None:
            raise ConfigError(f"backbone {self.prefix}{bare} needs timm, which is not installed: {_INSTALL}")
        # timm itself would take `hf-hub:` and `local-dir:` here, and fetch or read what they name.
        if bare not in self.names():
            raise ConfigError(f"there is no backbone {bare!r} in timm: {did_you_mean(bare, self.names())}")
        if weights != "none" and not Path(weights).is_file():
            raise WeightsError(
                f"weights {weights!r}: there is no such weights file; timm's models take a file or none, nothing is fetched for"
                " them"
            )
        create = partial(timm.create_model, bare, pretrained=False)
        # The prefix is part of the one spelling: a later torchvision may have a model of the same name.
        return Blueprint(self.prefix + bare, create, partial(_input, arguments.get("img_size")))

    def is_safe_from_file(self, name: str) -> bool:
        """A listed architecture, built with `pretrained=False`; no `hf-hub:` or `local-dir:` behind the prefix."""
        return name.removeprefix(self.prefix) in self.names()


def _timm() -> ModuleType | None:
    """Imported when a name needs it: it takes a second."""
    try:
        import timm
    except ImportError:
        return None
    return timm


def _input(img_size: int | None, module: nn.Module) -> InputSpec:
    """As `timm.data.create_transform` does for evaluation, on the size that the model was trained at."""
    from timm.data.config import resolve_data_config

    config: dict[str, Any] = resolve_data_config({"img_size": img_size}, pretrained_cfg=module.pretrained_cfg)  # type: ignore[no-untyped-call]
    _, height, width = config["input_size"]
    if height != width or config["crop_mode"] not in ("center", "squash") or config["interpolation"] not in FILTERS:
        return InputSpec("", tuple(config["mean"]), tuple(config["std"]))  # a border, or no square: 8 models of 1371
    before = math.floor(height / config["crop_pct"])
    exactly = before if config["crop_mode"] == "squash" else None
    ops: tuple[Op, ...] = (Resize(before, exactly, filter=config["interpolation"]), CentreCrop(height))
    return InputSpec(str(Transform(ops)), tuple(config["mean"]), tuple(config["std"]))
