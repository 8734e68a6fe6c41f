"""`udta plan`."""

from __future__ import annotations

from typing import Any

import click

from udta.cli._common import complete_paths, emit, json_option
from udta.cli._options import Verb, options_of
from udta.cli._stores import stores_of


@click.command(
    cls=Verb,
    short_help="What an extraction would do; nothing is written.",
    epilog="""\b
Example:
  udta plan photos --backbone resnet50 --weights resnet50.pth \\
      --taps 'layer2,layer3=grid(14),layer4=avg' --views 5 --out photos.zarr""",
)
@click.argument("images", shell_complete=complete_paths)
@options_of("udta.extraction.options:ExtractOptions")
@json_option
@click.pass_obj
def plan(given: list[str] | None, /, images: str, as_json: bool, **options: Any) -> None:
    """Say what `udta extract` with the same options would do: rows, bytes, time, free disk, and what is there already.

    IMAGES and several stores are as for `udta extract`. Nothing is written; the time comes from a few batches through decoder
    and backbone, for each store by itself.
    """
    from udta.extraction.plan import plan_many

    stores, common = stores_of(options)
    found = plan_many(images, stores, **common)
    documents = [one.to_json() for one in found]
    ready = not any(one.differences or not one.fits for one in found)
    # What was typed, for the verb that does it.
    following = (
        [["udta", *given[: (verb := given.index("plan"))], "extract", *given[verb + 1 :]]] if given and ready else []
    )
    emit(as_json, documents if len(found) > 1 else documents[0], "\n".join(map(str, found)), following)
    # The status that the extraction itself would end with, so that a script may ask first.
    if not ready:
        raise click.exceptions.Exit(1)
