"""`udta plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta.cli.common import emit, json_option
from udta.cli.extract_options import extract_options


@click.command(
    epilog="""\b
Example:
  udta plan photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr"""
)
@click.argument("images")
@extract_options
@json_option
def plan(images: str, out: Path, as_json: bool, on_error: str, **options: Any) -> None:
    """Say what `udta extract` with the same options would do: rows, bytes, time, free disk, and what is there already.

    IMAGES is as for `udta extract`. Nothing is written; the time comes from a few batches through decoder and backbone.
    """
    from udta.extraction.plan import plan as run

    found = run(images, out=out, on_error=on_error, **options)
    emit(as_json, found.to_json(), str(found))
    if found.differences or not found.fits:
        raise click.exceptions.Exit(1)
