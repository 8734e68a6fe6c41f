"""`udta adapters`."""

from __future__ import annotations

import click

from udta.cli._common import emit, json_option


@click.command(
    short_help="Which adapters there are, and their options.",
    epilog="""\b
Example:
  udta adapters
  udta adapters udta
  udta train photos.zarr --adapter udta --option width=32 --epochs 20 --out runs/narrow""",
)
@click.argument("name", required=False)
@json_option
def adapters(name: str | None, as_json: bool) -> None:
    """List the adapters; with NAME, the options of one, and the fields of its recipe with their defaults.

    `udta train --option NAME=VALUE` sets an option; fields of the recipe have options of their own there.
    """
    from udta.adapters import adapters as run

    report = run(name)
    emit(as_json, report.to_json(), str(report))
