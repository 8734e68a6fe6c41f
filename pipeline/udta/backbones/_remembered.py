"""A backbone as a data file remembers it: a name out of a store or an adapter file is data, never code.

Anybody may have written that file. What the user names on the command line may be any factory; what a file names may be a
model of torchvision or timm or a factory of udta, with numbers as keywords, and its weights a regular file or those that are on
this machine already. So a file can have neither a module imported, nor anything downloaded, nor a device or a pipe opened.
Whether the backbone is the right one is decided after that, by its content: the caller compares fingerprints.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from udta.backbones._backbone import Backbone
from udta.backbones._build import build_backbone, parse_spec
from udta.backbones.sources.downloads import no_downloads
from udta.backbones.sources.registry import source_of
from udta.backbones.sources.source import WEIGHT_KEYWORDS, is_pretrained
from udta.errors import ConfigError, Problems

# A number of classes or of pixels; what is larger has a layer allocated that fits nowhere.
_LARGEST = 100_000


def rebuild_backbone(
    source: Mapping[str, Any],
    where: str,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    evaluate: str | None = None,
) -> Backbone:
    """The backbone that a store or an adapter was made with.

    Args:
        source: its `backbone` and `weights` as the file remembers them.
        where: names the file in messages.
        backbone: as the user names it; instead of the remembered name, and without its limits.
        weights: the same for the weights.
        evaluate: replaces the evaluation transform.

    Raises:
        ConfigError: the file names nothing, or what may not come out of a file; every problem is listed.
        BackboneError, WeightsError: as `build_backbone`.
    """
    problems = Problems()
    name = backbone or problems.collect(_name, source.get("backbone"), where)
    file = weights or problems.collect(_weights, source.get("weights"), name, where)
    problems.raise_any()
    assert name is not None
    assert file is not None
    # What the user names may be downloaded, also by half: the weights of a model that the file names.
    by_file = backbone is None and not is_pretrained(weights or "")
    with no_downloads(where) if by_file else nullcontext():
        return build_backbone(name, file, evaluate=evaluate)


def _name(remembered: object, where: str) -> str:
    if remembered is None:
        raise ConfigError(f"{where} does not say where its backbone is: give --backbone")
    if not isinstance(remembered, str):
        raise ConfigError(f"{where} names its backbone by {type(remembered).__name__}, not by text: give --backbone")
    name, given = parse_spec(remembered)
    known = source_of(name)
    if known is None or not known.is_safe_from_file(name):
        raise ConfigError(
            f"{where} names its backbone {remembered!r}, which is no model of torchvision or timm; importing it would run code "
            "because a file says so: if you know it and trust it, give it as --backbone"
        )
    # `norm_layer=os.system` is text to us, but a builder may look names up, open paths, or fetch addresses.
    wrong = sorted(key for key, value in given.items() if key in WEIGHT_KEYWORDS or not _is_small(value))
    if wrong:
        raise ConfigError(
            f"{where} names its backbone {remembered!r}, but takes of a file's keywords only numbers up to {_LARGEST:,}, true, "
            f"false and null, and none about weights, so not {', '.join(map(repr, wrong))}: give it as --backbone"
        )
    return remembered


def _is_small(value: object) -> bool:
    """A number, true, false or null: no text that a builder could take for a path, an address or a name."""
    if isinstance(value, list):  # such as `img_size=[224,224]`
        return len(value) <= 8 and all(map(_is_small, value))
    # NaN, which JSON's readers take, is below no bound.
    return value is None or (isinstance(value, int | float) and abs(value) <= _LARGEST)


def _weights(remembered: object, backbone: str | None, where: str) -> str:
    if remembered is None:
        raise ConfigError(f"{where} does not say where the weights of its backbone are: give --weights")
    if not isinstance(remembered, str):
        raise ConfigError(f"{where} names weights by {type(remembered).__name__}, not by text: give --weights")
    if remembered == "none":
        return remembered
    # Only absolute: a relative path out of a file would be looked up in whatever folder the user stands in.
    path = Path(remembered)
    if path.is_absolute():
        _check_regular(path, where)
    elif not _is_on_this_machine(backbone, remembered):
        raise ConfigError(
            f"{where} names weights {remembered!r}, which are not on this machine; nothing is downloaded because a file says so: "
            f"give --weights {remembered!r} if you want that, or a file"
        )
    return remembered


def _check_regular(path: Path, where: str) -> None:
    """Opening a pipe waits for ever, opening a device may do anything: what it is has to be known before."""
    try:
        mode = path.stat().st_mode  # of what a link leads to
    except (OSError, ValueError):  # the second of a NUL in the path
        raise ConfigError(f"{where} names weights {str(path)!r}, which cannot be found: give --weights") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{where} names weights {str(path)!r}, which is no regular file: give --weights")


def _is_on_this_machine(backbone: str | None, weights: str) -> bool:
    if backbone is None:  # it was refused, and says so
        return False
    name, _ = parse_spec(backbone)
    source = source_of(name)
    return source is not None and source.has_weights(name, weights)
