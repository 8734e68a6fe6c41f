"""Image towers of open_clip (the extra `open_clip`): `open_clip:ARCH/TAG`, and `open_clip:ARCH` for a file or random weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from torch import nn

from udta.backbones._backbone import InputSpec
from udta.backbones.sources._hub import HubFile, fetch, is_cached
from udta.backbones.sources._open_clip_tower import image_tower
from udta.backbones.sources.source import Blueprint, Offer, Source, is_pretrained
from udta.errors import ConfigError, WeightsError, did_you_mean
from udta.images import Transform
from udta.images.ops import CentreCrop, Op, Resize

_INSTALL = "pip install 'udta[open_clip]'"
# What a repository calls its weights where a tag does not say; safetensors before what only `weights_only` may read.
_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class OpenClip(Source):
    """What `open_clip.list_models` lists, with the weights that `open_clip.list_pretrained` lists."""

    name: ClassVar[str] = "open_clip"
    prefix: ClassVar[str] = "open_clip:"
    spelling: ClassVar[str] = "open_clip:ARCH/TAG"
    library: ClassVar[str] = "open_clip_torch"
    default_weights: ClassVar[str] = "pretrained"

    def accepts(self, name: str) -> bool:
        """Nothing without the prefix: to look `ViT-B-32` up takes as long as to import torch, for every name that is wrong."""
        return False

    def missing(self) -> str:
        """How to install open_clip."""
        # Not imported, as `_open_clip` does: this is asked for every name that is wrong.
        return "" if find_spec("open_clip") else _INSTALL

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of an architecture, with the input of its tag; without one, of the weights that open_clip lists first for it.

        Raises:
            ConfigError: no such architecture or tag, no tag whose weights could be fetched, or no open_clip.
            WeightsError: `weights` is nothing that can be read or fetched.
        """
        arch, tag = self._checked(name)
        published = _published(arch, tag)
        found = self._find(arch, tag, weights)
        path = found.path if isinstance(found, HubFile) else found

        def build(img_size: int | Sequence[int] | None = None) -> nn.Module:
            # Of a file without a tag nobody knows with which activation it was trained: the architecture's own, then.
            return image_tower(arch, bool(tag and published.get("quick_gelu")), path, _pair(img_size) or size)

        # Without the tag: the same weights out of a file are the same backbone.
        origin = found.origin if isinstance(found, HubFile) else {}
        return Blueprint(self.prefix + arch, build, partial(_input, published), origin=origin, loads=True)

    def is_safe_from_file(self, name: str) -> bool:
        """A listed architecture: building one runs code of open_clip and timm, and fetches nothing."""
        library, (arch, tag) = _open_clip(), self._split(name)
        return library is not None and arch in library.list_models() and (not tag or bool(_tags(arch).get(tag)))

    def has_weights(self, name: str, weights: str) -> bool:
        """Whether the file of the tag is in the hub's cache."""
        arch, tag = self._split(name)
        if not (is_pretrained(weights) and tag and self.is_safe_from_file(name)):
            return False
        return is_cached(*_address(arch, tag), weights.partition("@")[2] or None)

    def offers(self, word: str) -> Iterator[Offer]:
        """Each tag of each architecture; an architecture without one by itself."""
        library, part = _open_clip(), word.removeprefix(self.prefix).lower()
        if library is None:
            return
        for arch in library.list_models():
            for tag in _tags(arch) or [""]:
                name = f"{arch}/{tag}".rstrip("/")
                if part in name.lower():
                    own = library.get_model_config(arch)["vision_cfg"]["image_size"]
                    weights, repo = ("pretrained", _address(arch, tag)[0]) if tag else ("none", "")
                    here = bool(tag) and is_cached(*_address(arch, tag))
                    yield Offer(self.prefix + name, weights, repo, (own, own), here)

    def _split(self, name: str) -> tuple[str, str]:
        """Architecture, and tag as open_clip spells it: small, with underscores; empty where there is none."""
        arch, _, tag = name.removeprefix(self.prefix).partition("/")
        return arch, tag.lower().replace("-", "_")

    def _checked(self, name: str) -> tuple[str, str]:
        library, (arch, tag) = _open_clip(), self._split(name)
        if library is None:
            raise ConfigError(f"backbone {self.prefix}{arch} needs open_clip, which is not installed: {_INSTALL}")
        if arch not in library.list_models():
            raise ConfigError(
                f"there is no architecture {arch!r} in open_clip: {did_you_mean(arch, library.list_models())}"
            )
        if tag and tag not in _tags(arch):
            raise ConfigError(f"open_clip has no weights {tag!r} for {arch}: {did_you_mean(tag, list(_tags(arch)))}")
        return arch, tag

    def _find(self, arch: str, tag: str, weights: str) -> HubFile | Path | None:
        """The file that `weights` means; None for random ones."""
        if weights == "none":
            return None
        if Path(weights).is_file():
            return Path(weights)
        if not is_pretrained(weights):
            raise WeightsError(
                f"weights {weights!r}: there is no such weights file; open_clip's models take pretrained, a file or none"
            )
        if not tag:
            known = ", ".join(f"{self.prefix}{arch}/{tag}" for tag in _tags(arch))
            raise ConfigError(
                f"{self.prefix}{arch} does not say which weights: name {known or 'no tag, there are none'}, or give --weights"
                " FILE or none"
            )
        return fetch(*_address(arch, tag), weights.partition("@")[2] or None)


def _open_clip() -> ModuleType | None:
    """Imported when a name needs it: it brings torchvision and timm."""
    try:
        return import_module("open_clip")
    except ImportError:
        return None


def _tags(arch: str) -> Mapping[str, Mapping[str, Any]]:
    """The published weights of an architecture by their tag, the first one first."""
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    return {tag: get_pretrained_cfg(arch, tag) for tag in list_pretrained_tags_by_model(arch)}


def _published(arch: str, tag: str) -> Mapping[str, Any]:
    """What is known of the weights of a tag: their input and activation."""
    known = _tags(arch)
    return known[tag] if tag else next(iter(known.values()), {})


def _address(arch: str, tag: str) -> tuple[str, list[str]]:
    """Repository and names of the file that a tag stands for, the preferred name first."""
    repo, _, file = str(_tags(arch)[tag]["hf_hub"]).rpartition("/")  # `ORG/NAME/` or `ORG/NAME/FILE`
    return repo, [str(Path(file).with_suffix(".safetensors")), file] if file else list(_FILES)


def _pair(img_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) of what the user gave."""
    if img_size is None:
        return None
    sides = [img_size] * 2 if isinstance(img_size, int) else img_size
    if isinstance(sides, str) or len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise ConfigError(f"img_size={img_size!r} is no size: give a number of pixels, or [height,width]")
    return sides[0], sides[1]


def _input(published: Mapping[str, Any], module: Any) -> InputSpec:
    """As `open_clip.image_transform` does for evaluation, at the size that the tower has."""
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    wanted = merge_preprocess_dict(PreprocessCfg(size=module.image_size), published)
    size, mean, std = wanted["size"], tuple(wanted["mean"]), tuple(wanted["std"])
    height, width = size if isinstance(size, tuple) else (size, size)
    if wanted["resize_mode"] == "squash":
        ops: tuple[Op, ...] = (Resize(height, width, filter=wanted["interpolation"]),)
    elif wanted["resize_mode"] == "shortest" and height == width:
        ops = (Resize(height, filter=wanted["interpolation"]), CentreCrop(height))
    else:  # with a border, or a crop that is no square
        return InputSpec("", mean, std)
    return InputSpec(str(Transform(ops)), mean, std)
