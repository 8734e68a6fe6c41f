"""torchvision's classification models: names, weight enums and the input that their weights were made for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from udta.backbones._backbone import InputSpec
from udta.backbones.sources import _url
from udta.backbones.sources.source import Blueprint, Offer, Source
from udta.errors import WeightsError, did_you_mean
from udta.images import Transform
from udta.images.ops import CentreCrop, Resize

# The published weights of these two come from TensorFlow and want (x - 0.5) / 0.5; torchvision's builders turn our input into
# that when they load an enum, and would not for the same weights from a file. `init_weights` is slow and asked for by a warning.
_FROM_TENSORFLOW = ("googlenet", "inception_v3")


class Torchvision(Source):
    """Models of `torchvision.models` itself, without those of its sub-packages (detection, segmentation, video, ...)."""

    name: ClassVar[str] = "torchvision"
    spelling: ClassVar[str] = "NAME"
    library: ClassVar[str] = "torchvision"

    def names(self) -> list[str]:
        """All of them."""
        found: list[str] = _models().list_models(module=_models())
        return found

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of one of `names`.

        Raises:
            WeightsError: `weights` is neither `none`, nor `pretrained`, nor a file, nor the name of an enum, or as a download.
        """
        known = _enums(name)
        enum = None if weights == "none" or Path(weights).is_file() else _enum(name, weights, known)
        if enum is not None:
            _url.fetch(enum.url)  # to where the builder finds it
        defaults = {"transform_input": True, "init_weights": False} if name in _FROM_TENSORFLOW else {}
        # Weights from a file are most likely torchvision's first: the ones that its paper or reference recipe gave the network.
        spec = _input(enum or next(iter(known.values())))
        return Blueprint(
            name,
            _models().get_model_builder(name),
            lambda _: spec,
            # The builder loads an enum itself: it knows what else belongs to it.
            {**defaults, "weights": enum},
            loads=enum is not None,
            origin={} if enum is None else {"id": f"{type(enum).__name__}.{enum.name}", "revision": enum.url},
            # By its own name: which one is the default changes with versions.
            weights="" if enum is None else enum.name,
        )

    def is_safe_from_file(self, name: str) -> bool:
        """Builders of classification models fetch nothing unless `weights` says so, which a file may not."""
        return self.accepts(name)

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether an enum lies in torch's cache, where its builder will find it."""
        known = _enums(name) if self.accepts(name) else {}
        return weights in known and _url.is_cached(known[weights].url)

    def offers(self, word: str) -> Iterator[Offer]:
        """Each enum of each model, `pretrained` where that is the one it means."""
        for name in self.names():
            # By way of their values, since `DEFAULT` is another name of one of them.
            for enum in dict.fromkeys(_enums(name).values()) if word.lower() in name else ():
                weights = "pretrained" if enum is _models().get_model_weights(name).DEFAULT else enum.name
                [side] = enum.transforms().crop_size
                yield Offer(name, weights, enum.url, (side, side), _url.is_cached(enum.url))


def _models() -> ModuleType:
    """`torchvision.models`, imported when it is asked for: it loads torch's compiler, 3 s that other backbones need not wait."""
    return importlib.import_module("torchvision.models")


def _enums(name: str) -> Mapping[str, Any]:
    """The published weights of a model by name, its first and oldest one first."""
    known: Mapping[str, Any] = _models().get_model_weights(name).__members__
    return known


def _enum(name: str, weights: str, known: Mapping[str, Any]) -> Any:
    if weights == "pretrained" and known:
        return _models().get_model_weights(name).DEFAULT
    if weights not in known:
        raise WeightsError(
            f"weights {weights!r}: there is no such weights file, and no torchvision weights of this name for {name}: "
            f"{did_you_mean(weights, [*known, 'pretrained', 'none'])}"
        )
    return known[weights]


def _input(enum: Any) -> InputSpec:
    preset = enum.transforms()
    resize = Resize(preset.resize_size[0], filter=preset.interpolation.value)
    return InputSpec(str(Transform((resize, CentreCrop(preset.crop_size[0])))), tuple(preset.mean), tuple(preset.std))
