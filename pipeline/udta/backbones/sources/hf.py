"""transformers' vision models (the extra `transformers`): `hf:ORG/NAME[@REV]` of a hub, `hf:DIR` as `save_pretrained` wrote it.

Of a model with two towers the one for images is built, of a classifier what comes before its head. No code of a repository runs:
what transformers has no class for is refused.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from udta.backbones._weights import read_weights
from udta.backbones.sources._hf_input import PROCESSOR_FILES, input_of_processor
from udta.backbones.sources._hf_trunk import build_trunk
from udta.backbones.sources._hub import fetch, is_cached, split_revision
from udta.backbones.sources.source import Blueprint, Source, is_pretrained
from udta.errors import ConfigError, WeightsError, did_you_mean

_INSTALL = "pip install 'udta[transformers]'"
_CONFIG = "config.json"
# The preferred one first; an index lists the files of a model that is saved in several.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_INDEX = ".index.json"


@dataclass(frozen=True)
class _Place:
    """Where the files of a model are: `said` is how messages call it, `origin` which commit of a hub it is."""

    folder: Path
    said: str
    origin: Mapping[str, str] = field(default_factory=dict)

    def find(self, names: Sequence[str]) -> Path:
        """The first of these files that it has."""
        if self.origin:
            return fetch(self.origin["id"], names, self.origin["revision"]).path
        found = next((self.folder / name for name in names if (self.folder / name).is_file()), None)
        if found is None:
            raise WeightsError(f"{self.said} has no {' or '.join(names)}")
        return found


class HuggingFace(Source):
    """What transformers has a class for that takes pixels alone."""

    name: ClassVar[str] = "transformers"
    prefix: ClassVar[str] = "hf:"
    spelling: ClassVar[str] = "hf:ORG/NAME, hf:DIR"
    library: ClassVar[str] = "transformers"
    default_weights: ClassVar[str] = "pretrained"

    def missing(self) -> str:
        """How to install transformers."""
        # Found and not imported, which takes seconds.
        return "" if find_spec("transformers") else _INSTALL

    def blueprint(
        self, name: str, weights: str, arguments: Mapping[str, Any], *, size: tuple[int, int] | None = None
    ) -> Blueprint:
        """Of a repository or a folder; `img_size` among the arguments replaces the size of its processor.

        `size` decides nothing: these models take the size that they are given, or say that they cannot.

        Raises:
            ConfigError: no such model, none that takes images alone, or no transformers. WeightsError: as `build_trunk`.
        """
        if self.missing():
            raise ConfigError(f"backbone {name} needs transformers, which is not installed: {_INSTALL}")
        img_size, bare = _size(arguments.get("img_size")), name.removeprefix(self.prefix)
        place = _folder(bare) if _is_folder(bare) else _repository(bare, weights)
        # Before the weights are fetched, which may be gigabytes of something else.
        model_class, config = _model(place)
        files = _weight_files(place, weights)

        def factory(*, img_size: int | Sequence[int] | None = None) -> nn.Module:  # noqa: ARG001  # the input alone has it
            state = {key: tensor for file in files for key, tensor in read_weights(file).items()} if files else None
            return build_trunk(model_class, config, state, str(files[0]) if files else place.said)

        return Blueprint(
            # Not the repository or the folder: the same files are the same features wherever they came from.
            self.prefix + model_class.__name__,
            factory,
            lambda _: input_of_processor(place.folder, img_size, place.said),
            loads=True,
            origin=place.origin,
        )

    def resolved(self, name: str) -> str:
        """A folder from the root."""
        bare = name.removeprefix(self.prefix)
        return f"{self.prefix}{_folder(bare).folder}" if _is_folder(bare) else name

    def is_safe_from_file(self, name: str) -> bool:
        """Code of transformers alone is run; a path is one only from the root, whatever folder the user stands in."""
        bare = name.removeprefix(self.prefix)
        return not self.missing() and (bare.startswith("/") or not _is_folder(bare))

    def has_weights(self, name: str, weights: str) -> bool:
        """In a folder, or of just this commit in the cache."""
        bare = name.removeprefix(self.prefix)
        if not is_pretrained(weights):
            return False
        if _is_folder(bare):
            return any((Path(bare) / file).is_file() for file in _WEIGHTS)
        return is_cached(split_revision(bare)[0], _WEIGHTS, _revision(weights))


def _size(given: Any) -> tuple[int, int] | None:
    """(height, width) of `img_size`."""
    sides = [given] * 2 if isinstance(given, int) else given
    if given is None:
        return None
    if not isinstance(sides, list) or len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise ConfigError(f"img_size={given!r}: must be a number of pixels, or [height,width]")
    return sides[0], sides[1]


def _is_folder(name: str) -> bool:
    """A path by its look, or because it is there, as in transformers."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(name).is_dir()


def _folder(name: str) -> _Place:
    folder = Path(name).expanduser().resolve()
    if not (folder / _CONFIG).is_file():
        what = f"has no {_CONFIG}" if folder.is_dir() else "is not there"
        raise ConfigError(
            f"backbone hf:{name}: the folder {folder} {what}; give one that `save_pretrained` wrote, or ORG/NAME of a hub"
        )
    return _Place(folder, str(folder))


def _repository(name: str, weights: str) -> _Place:
    repo, revision = split_revision(name)
    # `pretrained@REV` is what a store remembers, and so the more exact one.
    config = fetch(repo, [_CONFIG], _revision(weights) or revision)
    fetch(config.id, PROCESSOR_FILES, config.revision)
    return _Place(config.path.parent, f"{config.id}@{config.revision}", config.origin)


def _revision(weights: str) -> str | None:
    return split_revision(weights)[1] if is_pretrained(weights) else None


def _weight_files(place: _Place, weights: str) -> Sequence[Path]:
    """Files that hold the weights together; none where they are drawn."""
    if weights == "none":
        return ()
    if Path(weights).is_file():
        return (Path(weights),)
    if not is_pretrained(weights) or (_revision(weights) and not place.origin):
        raise WeightsError(
            f"weights {weights!r}: there is no such weights file; models of hf: take a file, none, pretrained, and "
            "those of a hub pretrained@REV"
        )
    first = place.find(_WEIGHTS)
    if not first.name.endswith(_INDEX):
        return (first,)
    parts = _read_json(first, place.said).get("weight_map")
    if not isinstance(parts, dict) or not all(
        isinstance(part, str) and Path(part).name == part for part in parts.values()
    ):
        raise WeightsError(f"{place.said}: {first.name} does not name the files beside it that hold the weights")
    return [place.find([part]) for part in sorted(set(parts.values()))]


def _model(place: _Place) -> tuple[Any, Any]:
    """The class of transformers that a folder's configuration is of, and its part that is about images.

    Raises:
        ConfigError: a model of another library or of its own code, none of images, or one that takes more than images.
    """
    document = _read_json(place.folder / _CONFIG, place.said)
    kind = document.get("model_type")
    if "auto_map" in document:
        raise ConfigError(
            f"{place.said} brings code of its own (auto_map), which udta never runs: take a model of transformers"
        )
    # Also where transformers wraps one, which fetches weights from timm's own places.
    wraps = "architecture" in document and str(kind or "timm").startswith("timm")
    if wraps or document.get("use_timm_backbone"):
        raise ConfigError(f"{place.said} is a model of timm: write hf-hub:ORG/NAME, or local-dir:DIR, instead of hf:")
    from transformers import CONFIG_MAPPING, AutoConfig

    if kind not in CONFIG_MAPPING:
        raise ConfigError(
            f"{place.said} has the model_type {kind!r}, which transformers {version('transformers')} has no class for; "
            f"{did_you_mean(str(kind), CONFIG_MAPPING)} A newer transformers may have it"
        )
    if document.get("quantization_config"):
        raise ConfigError(f"{place.said} is quantised; take the repository with the weights that it was made from")
    try:
        config = AutoConfig.from_pretrained(place.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of values that anybody may have written
        raise ConfigError(f"{place.said} has a {_CONFIG} that transformers cannot read ({error})") from error
    return _vision_class(getattr(config, "vision_config", config), place.said)


def _vision_class(config: Any, said: str) -> tuple[Any, Any]:
    from transformers import MODEL_MAPPING

    found: Any = MODEL_MAPPING.get(type(config), None)
    # Of some it is a tuple of classes, none of which is of images.
    if getattr(found, "main_input_name", "") != "pixel_values":
        raise ConfigError(f"{said} is no vision model: {type(config).__name__} does not take images")
    wanted = [
        name
        for name, parameter in inspect.signature(found.forward).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    more = [name for name in wanted if name not in ("self", "pixel_values")]
    if more:
        raise ConfigError(
            f"{said}: {found.__name__} wants {', '.join(more)} beside the images (NaFlex takes patches of any number); take a "
            "variant of a fixed size"
        )
    return found, config


def _read_json(path: Path, said: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{said}: {path.name} is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{said}: {path.name} holds {type(document).__name__}, not an object")
    return document
