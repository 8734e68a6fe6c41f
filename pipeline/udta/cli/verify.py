"""`udta verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import PATH, STORE, device_option, emit, json_option


@click.command(
    short_help="Is a store still what was written?",
    epilog="""\b
Example:
  udta verify photos.zarr --recompute 16""",
)
@click.argument("store", type=STORE)
@click.option("--repair", is_flag=True, help="Drop bad blocks; the same `udta extract` again computes them.")
@click.option(
    "--recompute", type=click.IntRange(min=1), metavar="N", help="Extract N random samples again and compare."
)
@click.option("--images", type=PATH, help="The images, if they are not where they were at extraction.")
@click.option("--backbone", help="The backbone, if it is your own factory or is named otherwise now.")
@click.option("--weights", help="Its weights, if they are not where they were.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of samples.")
@device_option
@json_option
def verify(store: Path, repair: bool, recompute: int | None, as_json: bool, **options: Any) -> None:
    """Compare every block and all metadata of STORE with their checksums.

    Exit status 0 when every block is committed and as it was, 1 when something is damaged or not there yet.
    """
    from udta.store.verify import verify as run

    with ProgressDisplay("blocks") as progress:
        report = run(store, repair=repair, progress=progress)
    document, text, sound = report.to_json(), str(report), report.sound
    # Features of damaged blocks differ for a reason that is told already; the backbone has to be built and run for this.
    if recompute and sound:
        from udta.extraction.recompute import recompute as compare

        compared = compare(store, samples=recompute, **options)
        document["recompute"], text = compared.to_json(), f"{text}\n{compared}"
        sound = not compared.differing  # bits may differ on other hardware; `differing` is what is beyond that
    emit(as_json, document, text)
    if not sound:
        raise click.exceptions.Exit(1)
