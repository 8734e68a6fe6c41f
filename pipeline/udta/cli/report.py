"""`udta report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, PATH, device_option, json_option, summarise
from udta.cli._options import Verb


@click.command(
    cls=Verb,
    short_help="One page of figures and pictures.",
    epilog="""\b
Example:
  udta report sweeps/photos photos.zarr --out report.html
  udta report runs --compare runs/photos-udta runs/photos-linear""",
)
@click.argument("folders", nargs=-1, required=True, type=PATH, metavar="DIR...")
@click.option("--out", default="report.html", show_default=True, type=OUT, help="The page; its drawings lie beside it.")
@click.option("--title", default="Results", show_default=True, help="Of the page.")
@click.option("--split", default="test", show_default=True, help="Which rows of stores are looked at.")
@click.option("--compare", nargs=2, type=PATH, metavar="RUN RUN2", help="Two runs to compare; the best two by default.")
@click.option("--images", type=PATH, help="Photographs of a single dataset, if they are not where they were.")
@click.option("--no-inspect", is_flag=True, help="Do not look through stores for label errors, copies and odd images.")
@device_option
@json_option
def report(folders: tuple[Path, ...], no_inspect: bool, as_json: bool, **options: Any) -> None:
    """Write one HTML file about the runs, few-shot curves and stores in and below DIR..., readable without a network.

    A file among DIR... is one of labels that runs were trained with. What is not there, such as a store or photographs that
    are gone, is said in a line of the page.
    """
    from udta.reporting.make_report import report as make

    with ProgressDisplay("runs") as progress:
        found = make(folders, inspect=not no_inspect, progress=progress, **options)
    summarise(as_json, found.to_json(), str(found))
