"""`udta info`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli._common import STORE, emit, json_option


@click.command(
    short_help="What a store holds, or what a run is.",
    epilog="""\b
Example:
  udta info photos.zarr
  udta info runs/photos-udta
  udta info sweep --json""",
)
@click.argument("path", type=STORE)
@json_option
def info(path: Path, as_json: bool) -> None:
    """Say what lies at PATH: a store, a run, an adapter file, or a folder with runs in it, such as that of a sweep.

    Of a store: rows, splits, taps, views, what it was made from, and whether it is complete. Of a run: its adapter with options
    and recipe, classes, taps and backbone, figures, and how it was trained.
    """
    from udta.summary import info as run

    found = run(path)
    emit(as_json, found.to_json(), str(found))
