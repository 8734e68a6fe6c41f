"""`udta taps`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from udta.cli._common import Choice, emit, json_option


def _storage_types() -> Iterable[str]:
    from udta.store import STORAGE_TYPES

    return STORAGE_TYPES


@click.command(
    short_help="What can be tapped in a backbone, and its size.",
    epilog="""\b
Example:
  udta taps resnet50
  udta taps resnet50 --dtype uint8 --budget 200kB
  udta taps vit_small_patch14_dinov2 --transform 'resize(224,filter=bicubic)|centre_crop(224)'
  udta taps 'torchvision.models.quantization:mobilenet_v2?quantize=false' --weights mobilenet_v2.pth""",
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
    from udta.backbones import taps as run

    report = run(backbone, weights, dtype=dtype, budget=budget, transform=transform)
    emit(as_json, report.to_json(), str(report))
