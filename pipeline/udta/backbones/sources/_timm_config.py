"""The `config.json` that timm writes beside weights, on a hub or in a folder: architecture, arguments, input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from udta.backbones.sources._timm_model import TimmModel, pair
from udta.backbones.sources.source import WEIGHT_KEYWORDS
from udta.errors import ConfigError, did_you_mean

CONFIG = "config.json"
# Where weights are is said by whoever fetched them: no file says where else to look.
_PLACES = ("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "custom_load")


def read_config(path: Path, name: str) -> TimmModel:
    """What a configuration describes.

    Args:
        path: of the file, which may be anybody's.
        name: of the backbone, for messages.

    Raises:
        ConfigError: it is none, or names what this timm does not have, or what no file may say.
    """
    from timm import list_models

    names = list_models()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        architecture, arguments = document["architecture"], dict(document.get("model_args", {}))
        built_for = pair(arguments.get("img_size"))
        config = _input_config(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"backbone {name}: {path} is no configuration of a timm model ({type(error).__name__}: {error}); one of transformers "
            "is named hf:ORG/NAME or hf:DIR"
        ) from error
    if architecture not in names:
        raise ConfigError(
            f"backbone {name} is the architecture {architecture!r}, which the installed timm does not have: "
            f"{did_you_mean(str(architecture), names)}"
        )
    if wrong := sorted(arguments.keys() & set(WEIGHT_KEYWORDS)):
        raise ConfigError(f"backbone {name}: {path} has arguments that no file may give: {', '.join(wrong)}")
    if built_for and config.get("fixed_input_size"):
        config["input_size"] = (3, *built_for)  # of these very weights; what stood there may be that of their ancestors
    return TimmModel(architecture, config, arguments)


def _input_config(document: Mapping[str, Any]) -> dict[str, Any]:
    """The `pretrained_cfg` in it, complete, with numbers where numbers belong. Raises `TypeError`, `ValueError`."""
    from timm.models import PretrainedCfg

    # timm wrote both in one table until 0.9.
    config = dict(document.get("pretrained_cfg", document))
    config |= {"num_classes": document["num_classes"]} if "num_classes" in document else {}
    # A newer timm writes what this one does not know; tuples, as its own configurations have them.
    known = {each.name for each in fields(PretrainedCfg)} - set(_PLACES)
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items() if key in known}
    whole: dict[str, Any] = PretrainedCfg(**config).to_dict()  # type: ignore[no-untyped-call]
    channels, height, width = map(int, whole["input_size"])
    red_green_blue = {key: tuple(map(float, whole[key])) for key in ("mean", "std")}
    numbers = {"crop_pct": float(whole["crop_pct"]), "num_classes": int(whole["num_classes"])}
    return {**whole, **red_green_blue, **numbers, "input_size": (channels, height, width)}
