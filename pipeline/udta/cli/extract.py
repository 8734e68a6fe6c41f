"""`udta extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta.cli.common import ProgressDisplay, emit, json_option
from udta.cli.extract_options import extract_options


@click.command(
    epilog="""\b
Example:
  udta extract photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr"""
)
@click.argument("images")
@extract_options
@json_option
def extract(images: str, out: Path, as_json: bool, **options: Any) -> None:
    """Compute the features of IMAGES once and keep them in a store.

    IMAGES is a folder with a sub-folder per class, a CSV/Parquet file with columns path,label[,split], or name:folder of a
    built-in dataset with its official split: aircraft, cars, cub200, dogs, flowers102, food101, pets.

    Running the same command again continues an interrupted extraction. A store grows when more is asked than it has: other
    images, another tap, more views; one that was made from something else is refused with the difference.
    """
    from udta.extraction import extract as run

    with ProgressDisplay("rows") as progress:
        report = run(images, out=out, progress=progress, **options)
    emit(as_json, report.to_json(), str(report))
