"""`udta similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta.cli._common import STORE, device_option, emit, json_option


@click.command(
    short_help="The images of a store nearest to one.",
    epilog="""\b
Example:
  udta similar photos.zarr cat/001.jpg
  udta similar photos.zarr cat/001.jpg --top 30 --json
  udta similar photos.zarr elsewhere/new.jpg""",
)
@click.argument("store", type=STORE)
@click.argument("image")
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--tap", metavar="NAME", help="By which tap; the deepest by default.")
@click.option("--backbone", help="For a file: the backbone, if it is your own factory or is named otherwise now.")
@click.option("--weights", help="For a file: where its weights are now.")
@device_option
@json_option
def similar(store: Path, image: str, as_json: bool, **options: Any) -> None:
    """List the images of STORE that are nearest to IMAGE.

    IMAGE is the path of one of them, as all tables name it, or a file, which goes through the backbone once. Features alone
    are compared: cosines of centred averages.
    """
    from udta.inspection.similar import similar as run

    found = run(store, image, **options)
    emit(as_json, found.to_json(), str(found))
