"""A model of timm as its three sources draw it: by a name of timm's, from a repository of a hub, from a folder.

What is known beside the architecture, arguments and the input that the weights were trained with, comes from timm's own
configuration of a tag, or from a `config.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from udta.backbones._backbone import InputSpec
from udta.backbones.sources.source import Blueprint
from udta.errors import ConfigError
from udta.images import Transform
from udta.images.ops import FILTERS, CentreCrop, Op, Resize

# The names that timm itself writes and reads, safetensors before what has to be unpickled.
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class TimmModel:
    """An architecture of timm, `config` as its `pretrained_cfg` where it is not timm's own, and `arguments` to build it with."""

    name: str
    config: Mapping[str, Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def blueprint(self, given: Mapping[str, Any], size: tuple[int, int] | None, **found: Any) -> Blueprint:
        """Of this model with the arguments that the user gave, for images of `size`; `found` are fields that tell of its weights.

        Raises:
            ConfigError: two sizes that differ.
        """
        built_for = self._size(given, size)
        return Blueprint(
            # The prefix is part of the one spelling: a later torchvision may have a model of the same name.
            "timm:" + self.name,
            self._create if "img_size" in given else self._create_for(size),
            lambda module: _input(module, pair(given.get("img_size")), {**self.arguments, **given}.get("in_chans")),
            defaults={} if built_for is None else {"img_size": built_for},
            # A configuration that says a size says that of its weights.
            arguments={
                **self.arguments,
                **({"img_size": built_for} if built_for and "img_size" in self.arguments else {}),
            },
            adapt=lambda module, state: self._adapt(module, state, given, built_for),
            **found,
        )

    def _size(self, given: Mapping[str, Any], size: tuple[int, int] | None) -> tuple[int, int] | None:
        """What the model is built for, where that is another size than the one of its weights."""
        own, asked = tuple(self._config()["input_size"][1:]), pair(given.get("img_size"))
        if size is None or size == (asked or own) or not self._has_a_size({**self.arguments, **given}):
            return None if asked == own else asked
        if asked:
            raise ConfigError(
                f"backbone {self.name} is to be built for images of {_by(asked)} (img_size), but --transform makes them "
                f"{_by(size)}: give only one of them, or the same size"
            )
        return size

    def _has_a_size(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the model takes images of one size alone."""
        if not self._config().get("fixed_input_size"):
            return False
        try:
            with torch.device("meta"):  # an architecture may be told to take any, and some are so by themselves
                module = self._create(**arguments)
        except Exception:  # building it in earnest says what is wrong
            return True
        strict = getattr(getattr(module, "patch_embed", None), "strict_img_size", True)
        return bool(strict) and not getattr(module, "dynamic_img_size", False)

    def _config(self) -> Mapping[str, Any]:
        from timm.models import get_pretrained_cfg

        if self.config is not None:
            return self.config
        found: Any = get_pretrained_cfg(self.name)
        return {"input_size": (3, 224, 224)} if found is None else found.to_dict()

    def _create(self, **arguments: Any) -> nn.Module:
        import timm

        config = {} if self.config is None else {"pretrained_cfg": dict(self.config)}
        module: nn.Module = timm.create_model(self.name, **{"pretrained": False, **config, **arguments})
        return module

    def _create_for(self, size: tuple[int, int] | None) -> Any:
        def create(**arguments: Any) -> nn.Module:
            try:
                return self._create(**arguments)
            except Exception as error:  # whatever the constructors of a thousand models raise
                if "img_size" not in arguments or size is None:
                    raise
                own = _by(tuple(self._config()["input_size"][1:]))
                raise ConfigError(
                    f"backbone {self.name} cannot be built for images of {_by(size)}, as --transform makes them "
                    f"({type(error).__name__}: {error}); its own size is {own}"
                ) from error

        return create

    def _adapt(
        self,
        module: nn.Module,
        state: Mapping[str, Tensor],
        given: Mapping[str, Any],
        built_for: tuple[int, int] | None,
    ) -> Mapping[str, Tensor]:
        """Weights as this model has them: position embeddings of its size, keys of other code bases renamed, as timm does both.

        What timm cannot make fit comes back as it was, for the listing of what differs.
        """
        expected = module.state_dict()
        if not getattr(
            module, "num_classes", 1
        ):  # `?num_classes=0`: a file with a classifier has all else that is needed
            state = {name: values for name, values in state.items() if name in expected or not self._classifies(name)}
        # Equal shapes do not mean equal grids: 7x28 patches are as many as 14x14.
        if built_for is None and _shapes(state) == _shapes(expected):
            return state
        overlay = {"state_dict": dict(state), "num_classes": getattr(module, "num_classes", 1000)}
        size = {} if built_for is None else {"img_size": built_for}
        try:
            # Strict also for the few families that timm is not: a layer that the file does not have would stay random, silently.
            adapted = self._create(
                **{**self.arguments, **size, **given, "pretrained": True, "pretrained_cfg_overlay": overlay},
                pretrained_strict=True,
            )
        except Exception:  # a file of another network, which may fail anywhere on the way
            return state
        fitted: Mapping[str, Tensor] = adapted.state_dict()
        return fitted

    def _classifies(self, name: str) -> bool:
        layers = self._config().get("classifier") or ()
        return name.rpartition(".")[0] in ((layers,) if isinstance(layers, str) else layers)


def _input(module: nn.Module, size: tuple[int, int] | None, channels: int | None) -> InputSpec:
    """As `timm.data.create_transform` does for evaluation, on the size that the model was trained at.

    Args:
        module: of timm.
        size: that it was built for, where that is another one.
        channels: that it was built for, where they were given.
    """
    from timm.data.config import resolve_data_config

    args = {} if size is None else {"input_size": (3, *size)}
    config: dict[str, Any] = resolve_data_config(args, pretrained_cfg=module.pretrained_cfg)  # type: ignore[no-untyped-call]
    _, height, width = config["input_size"]
    mean, std = (_of_channels(tuple(config[name]), channels) for name in ("mean", "std"))
    if height != width or config["crop_mode"] not in ("center", "squash") or config["interpolation"] not in FILTERS:
        return InputSpec("", mean, std)  # a border, or no square: 8 models of 1371
    before = math.floor(height / config["crop_pct"])
    exactly = before if config["crop_mode"] == "squash" else None
    ops: tuple[Op, ...] = (Resize(before, exactly, filter=config["interpolation"]), CentreCrop(height))
    return InputSpec(str(Transform(ops)), mean, std)


def _of_channels(values: tuple[float, ...], channels: int | None) -> tuple[float, ...]:
    """Means or deviations for so many channels: their average for each where there are others, as timm 1.0.31 has it."""
    if channels is None or channels == len(values):
        return values
    return (sum(values) / len(values),) * channels


def pair(size: object) -> tuple[int, int] | None:
    """`224` or `[252, 336]` as (height, width). Raises `ConfigError` for anything else."""
    if size is None:
        return None
    pair = [size, size] if isinstance(size, int) else size
    if isinstance(pair, Sequence) and len(pair) == 2 and all(type(side) is int and side > 0 for side in pair):
        return pair[0], pair[1]
    raise ConfigError(f"img_size is {size!r}, but is a number of pixels, or [height,width] as in ?img_size=[252,336]")


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Of all that decides: BatchNorm's counters are in no old file."""
    return {name: tuple(values.shape) for name, values in state.items() if not name.endswith("num_batches_tracked")}
