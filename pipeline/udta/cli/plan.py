"""`udta plan`."""

from __future__ import annotations

from typing import Any

import click

from udta.cli._common import emit, json_option
from udta.cli._options import Verb, options_of
from udta.cli._stores import stores_of


@click.command(
    cls=Verb,
    epilog="""\b
Example:
  udta plan photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr""",
)
@click.argument("images")
@options_of("udta.extraction.options:ExtractOptions")
@json_option
def plan(images: str, as_json: bool, **options: Any) -> None:
    """Say what `udta extract` with the same options would do: rows, bytes, time, free disk, and what is there already.

    IMAGES and several stores are as for `udta extract`. Nothing is written; the time comes from a few batches through decoder
    and backbone, for each store by itself.
    """
    from udta.extraction.plan import plan_many

    stores, common = stores_of(options)
    found = plan_many(images, stores, **common)
    documents = [one.to_json() for one in found]
    emit(as_json, documents if len(found) > 1 else documents[0], "\n".join(map(str, found)))
    # The status that the extraction itself would end with, so that a script may ask first.
    if any(one.differences or not one.fits for one in found):
        raise click.exceptions.Exit(1)
