"""`udta similar`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli._common import STORE, emit, json_option


@click.command(
    short_help="The images of a store nearest to one.",
    epilog="""\b
Example:
  udta similar photos.zarr cat/001.jpg
  udta similar photos.zarr cat/001.jpg --top 30 --json""",
)
@click.argument("store", type=STORE)
@click.argument("image")
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--tap", metavar="NAME", help="By which tap; the deepest by default.")
@json_option
def similar(store: Path, image: str, top: int, tap: str | None, as_json: bool) -> None:
    """List the images of STORE that are nearest to IMAGE, the path of one of them as `udta export` and all tables name it.

    Features alone are compared: cosines of centred averages.
    """
    from udta.inspection.similar import similar as run

    found = run(store, image, top=top, tap=tap)
    emit(as_json, found.to_json(), str(found))
