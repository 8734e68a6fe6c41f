"""`udta diff`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli._common import STORE, emit, json_option


@click.command(
    short_help="How two stores differ.",
    epilog="""\b
Example:
  udta diff photos.zarr photos-uint8.zarr""",
)
@click.argument("a", type=STORE)
@click.argument("b", type=STORE)
@click.option(
    "--values/--no-values", default=True, show_default=True, help="Compare the features of shared samples too."
)
@json_option
def diff(a: Path, b: Path, values: bool, as_json: bool) -> None:
    """Say how two stores differ: what they were made from, which samples they hold, and in which values.

    Exit status 0 when they hold the same features for the same samples, 1 when not.
    """
    from udta.store.diff import diff as run

    report = run(a, b, values=values)
    emit(as_json, report.to_json(), str(report))
    # As diff(1) has it, for scripts.
    if not report.equal:
        raise click.exceptions.Exit(1)
