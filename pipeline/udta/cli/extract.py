"""`udta extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta.cli.common import PATH, ProgressDisplay, device_option, emit, json_option, on_error_option


@click.command(
    epilog="""\b
Example:
  udta extract photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr"""
)
@click.argument("images")
@click.option("--backbone", required=True, help="A torchvision model name or package.module:factory?key=value.")
@click.option("--weights", default="none", show_default=True, help="A file, a torchvision weight enum, or none.")
@click.option(
    "--taps", required=True, help="Modules to keep, each with an optional reducer: none, grid(n), avg, cls, tokens."
)
@click.option("--out", required=True, type=PATH, help="The store; an unfinished one is continued.")
@click.option(
    "--views", default=1, show_default=True, help="View 0 is the evaluation transform, the others are augmented."
)
@click.option(
    "--format",
    type=click.Choice(["zarr", "hdf5"]),
    help="Store engine; zarr for a new store, else the one that is there.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "bfloat16", "uint8"]),
    default="float16",
    show_default=True,
    help="How features are stored; uint8 has a scale and offset per channel.",
)
@click.option(
    "--codec",
    type=click.Choice(["none", "zstd", "gzip", "lzf"]),
    default="none",
    show_default=True,
    help="Lossless compression: smaller by a little, slower to read by a lot.",
)
@click.option("--splits", type=PATH, help="CSV path,split; without it a seeded stratified 70/30 split.")
@click.option(
    "--compute",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the backbone.",
)
@device_option
@on_error_option
@click.option("--seed", default=0, show_default=True, help="Of the augmented views and the split.")
@click.option(
    "--transform", help="Replaces the backbone's evaluation transform, such as 'resize(256)|centre_crop(224)'."
)
@click.option(
    "--augment", help="The transform of the other views, such as 'random_resized_crop(224,scale=0.35..1)|flip'."
)
@json_option
def extract(images: str, out: Path, as_json: bool, **options: Any) -> None:
    """Compute the features of IMAGES once and keep them in a store.

    IMAGES is a folder with a sub-folder per class, or a CSV/Parquet file with columns path,label[,split]. Running the same
    command again continues an interrupted extraction. A store grows when more is asked than it has: other images, another
    tap, more views; one that was made from something else is refused with the difference.
    """
    from udta.extraction import extract as run

    with ProgressDisplay("rows") as progress:
        report = run(images, out=out, progress=progress, **options)
    emit(as_json, report.to_json(), str(report))
