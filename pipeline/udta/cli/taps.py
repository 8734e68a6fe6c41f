"""`udta taps`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from udta.cli._common import Choice, emit, json_option

if TYPE_CHECKING:
    from udta.backbones._taps import TapInfo


def _storage_types() -> Iterable[str]:
    from udta.store import STORAGE_TYPES

    return STORAGE_TYPES


@click.command(
    epilog="""\b
Example:
  udta taps resnet50
  udta taps resnet50 --dtype uint8 --budget 200kB
  udta taps vit_small_patch14_dinov2 --transform 'resize(224,filter=bicubic)|centre_crop(224)'
  udta taps 'torchvision.models.quantization:mobilenet_v2?quantize=false' --weights mobilenet_v2.pth"""
)
@click.argument("backbone")
@click.option("--weights", help="A file, pretrained[@REV], a torchvision weight enum, or none, as of udta extract.")
@click.option(
    "--dtype",
    type=Choice(_storage_types),
    default="float16",
    show_default=True,
    help="As it would be stored.",
)
@click.option("--budget", metavar="BYTES", help="Bytes of a view that the recommended taps may take, such as 300kB.")
@click.option("--transform", help="Evaluation transform, instead of the backbone's own.")
@json_option
def taps(
    backbone: str, weights: str | None, dtype: str, budget: str | None, transform: str | None, as_json: bool
) -> None:
    """List every tappable module of BACKBONE: shape, reducer, bytes per image as stored.

    BACKBONE is a torchvision or timm model name, or package.module:factory. A star marks the recommended
    taps with the reducers that `udta extract` takes where it is told of none; all others have their default one.
    """
    # In here, as in every verb: torch takes two seconds, which `--help` and a wrong option need not wait for.
    from udta._console.text_table import text_table
    from udta._files.validation import parse_bytes
    from udta.backbones import build_backbone, list_taps, recommended_taps

    most = None if budget is None else parse_bytes("budget", budget)
    found = list_taps(build_backbone(backbone, weights, evaluate=transform), dtype, most)
    table = text_table(("  tap", "module", "output", "stored", "bytes/image"), map(_cells, found), left=2, dashes=False)
    recommended = recommended_taps(found)
    # Quoted, to be pasted into a shell: names of modules are whatever a factory calls them.
    size = sum(tap.recommended_bytes for tap in found)
    text = f"{table}\n\nrecommended: --taps {shlex.quote(recommended)}\n{size:,} bytes for each view of an image"
    emit(as_json, {"taps": [asdict(tap) for tap in found], "recommended": recommended, "bytes_per_view": size}, text)


def _cells(tap: TapInfo) -> tuple[str, ...]:
    stored = (tap.default_reducer, tap.stored_shape, tap.bytes_per_image)
    if tap.recommended is not None:
        stored = (tap.recommended or tap.default_reducer, tap.recommended_shape, tap.recommended_bytes)
    reducer, shape, size = stored
    mark = " " if tap.recommended is None else "*"
    return (f"{mark} {tap.name}", tap.kind, _shape(tap.shape), f"{reducer} {_shape(shape)}", f"{size:,}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
