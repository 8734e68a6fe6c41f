"""`udta inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from udta._console.display import ProgressDisplay
from udta._console.messages import remark
from udta.cli._common import OUT, PATH, STORE, device_option, emit, json_option
from udta.cli._options import Verb, options_of
from udta.errors import ConfigError

if TYPE_CHECKING:
    from udta.inspection import Inspection


@click.command(
    cls=Verb,
    short_help="Label errors, leaks, duplicates, odd images of a store.",
    epilog="""\b
Example:
  udta inspect photos.zarr
  udta inspect photos.zarr --out inspection
  udta inspect photos.zarr --adapter runs/photos-udta --out inspection
  udta inspect photos.zarr --labels colours.csv --column colour --out inspection""",
)
@click.argument("store", type=STORE)
@click.option("--adapter", type=PATH, metavar="RUN", help="Whose mistakes to list; else those of a fit to all others.")
@options_of("udta.labels.options:LabelOptions")
@click.option("--out", type=OUT, metavar="DIR", help="A folder for a page, inspection.json and CSV files.")
@click.option("--seed", default=0, show_default=True, help="Of t-SNE, and of the sample it is made of.")
@device_option
@json_option
def inspect(store: Path, out: Path | None, as_json: bool, **options: Any) -> None:
    """Look for mistakes in the data of STORE, from its features alone.

    Labels that are probably wrong, the same photograph twice, above all in train and test, mistakes made with confidence, images
    unlike all others, classes that are too small, and a map. The worst of each is named; files have all.
    """
    from udta.inspection.inspect import inspect as run

    with ProgressDisplay("rows compared") as progress:
        found = run(store, out=out, progress=progress, **options)
    if out is not None:
        remark(
            f"{out}: {', '.join([*(f'{name}.csv' for name in found.tables), 'inspection.json', *_page(found, out)])}"
        )
    likely = found.leaks["first"] or found.duplicates["first"]
    following = [["udta", "similar", store, likely[0]]] if likely else []
    emit(as_json, found.to_json(), str(found), following)


def _page(found: Inspection, out: Path) -> list[str]:
    """The page with pictures, where what draws it is installed: tables are worth having without."""
    from udta.reporting.inspection_page import write_inspection_page

    try:
        write_inspection_page(found, out / "inspection.html")
    except ConfigError as error:
        remark(f"no page: {error}")
        return []
    return ["inspection.html"]
