"""`udta.backbones` and `udta.taps`: what there is to choose from, before anything is extracted."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from udta._console.text_table import text_table
from udta._files.validation import parse_bytes
from udta.backbones._backbone import Backbone
from udta.backbones._build import build_backbone
from udta.backbones._finding import SourceInfo, find_backbones, list_sources
from udta.backbones._taps import TapInfo, list_taps, recommended_taps
from udta.backbones.sources.source import Offer
from udta.errors import ConfigError


@dataclass(frozen=True)
class BackboneReport:
    """`sources` are where backbones come from, in the order in which a name is looked up; `matches` what a word has found."""

    sources: tuple[SourceInfo, ...]
    matches: tuple[Offer, ...]

    def to_json(self) -> dict[str, Any]:
        """What `udta backbones --json` prints."""
        return {"sources": list(map(asdict, self.sources)), "matches": list(map(asdict, self.matches))}


@dataclass(frozen=True)
class TapReport:
    """`taps` are all modules of a backbone that can be kept, in the order in which their outputs are there.

    `recommended` are those to begin with, as `--taps` takes them; a view of an image takes `bytes_per_view` in them.
    """

    taps: tuple[TapInfo, ...]
    recommended: str
    bytes_per_view: int

    def to_json(self) -> dict[str, Any]:
        """What `udta taps --json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        head = ("  tap", "module", "output", "stored", "bytes/image")
        table = text_table(head, map(_cells, self.taps), left=2, dashes=False)
        # Quoted, to be pasted into a shell: names of modules are whatever a factory calls them.
        chosen = f"recommended: --taps {shlex.quote(self.recommended)}"
        return f"{table}\n\n{chosen}\n{self.bytes_per_view:,} bytes for each view of an image"


def backbones(word: str = "") -> BackboneReport:
    """Where backbones come from, and what every name that contains a word would load. Nothing is downloaded or asked.

    Args:
        word: a part of a name, small or capital; with the prefix of a source, such as `open_clip:ViT-B-32`, one of that source
            alone. Without one no name is looked for.

    Returns:
        The sources, each with the library that it needs and the version that is here, and what the word has found: names as
        `--backbone` and `--weights` take them, the input size, and whether the weights are here.

    Raises:
        ConfigError: no name contains the word.

    Example:
        >>> [offer.backbone for offer in udta.backbones("resnet50").matches][:2]
        ['resnet50', 'resnet50']
    """
    return BackboneReport(tuple(list_sources()), tuple(find_backbones(word)) if word else ())


def taps(
    backbone: str | Backbone,
    weights: str | None = None,
    *,
    dtype: str = "float16",
    budget: int | str | None = None,
    transform: str | None = None,
) -> TapReport:
    """Every module of a backbone whose output can be kept: its shape, and what is stored of it for an image.

    Args:
        backbone: a name as `udta.extract` takes it, or a `Backbone` that is built already; it runs once, on black images.
        weights: where its weights are, as `udta.extract` takes them.
        dtype: in which features would be stored.
        budget: bytes of one view of an image that the recommended taps may take, such as `300_000` or `300kB`.
        transform: replaces the backbone's evaluation transform.

    Returns:
        A line for each module, and the recommended ones.

    Raises:
        ConfigError: no such backbone, a transform that gives images of different sizes, or nothing recommended fits the budget.
        BackboneError, WeightsError: the backbone cannot be built, or fails.

    Example:
        >>> udta.taps("mobilenet_v2").recommended
        'features.13=grid(14),features.17,features.18=avg'
    """
    if isinstance(backbone, Backbone):
        if weights is not None or transform is not None:
            raise ConfigError("weights and transform belong to building a backbone, but this one is built already")
    else:
        backbone = build_backbone(backbone, weights, evaluate=transform)
    found = list_taps(backbone, dtype, None if budget is None else parse_bytes("budget", budget))
    return TapReport(tuple(found), recommended_taps(found), sum(tap.recommended_bytes for tap in found))


def _cells(tap: TapInfo) -> tuple[str, ...]:
    stored = (tap.default_reducer, tap.stored_shape, tap.bytes_per_image)
    if tap.recommended is not None:
        stored = (tap.recommended or tap.default_reducer, tap.recommended_shape, tap.recommended_bytes)
    reducer, shape, size = stored
    mark = " " if tap.recommended is None else "*"
    return (f"{mark} {tap.name}", tap.kind, _shape(tap.shape), f"{reducer} {_shape(shape)}", f"{size:,}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
