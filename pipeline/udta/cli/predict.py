"""`udta predict`."""

from __future__ import annotations

from pathlib import Path

import click

from udta._console.display import ProgressDisplay
from udta._console.terminal import one_line
from udta.cli._common import OUT, PATH, complete_paths, device_option, json_option, on_error_option, summarise


@click.command(
    short_help="Classes of new images, of any number of adapters.",
    epilog="""\b
Example:
  udta predict new_photos --adapter runs/photos-udta --out predictions.csv
  udta predict one.jpg more/*.png --adapter runs/photos-udta --out predictions.csv
  udta predict new_photos --adapter runs/species --adapter runs/habitat --out predictions.parquet""",
)
@click.argument("images", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--adapter", "adapters", required=True, multiple=True, type=PATH, help="A run folder; may be repeated.")
@click.option("--out", required=True, type=OUT, help="A .csv or .parquet file.")
@click.option(
    "--backbone", help="The backbone, if it is your own factory or is named otherwise now than at extraction."
)
@click.option("--weights", help="Where its weights are now.")
@device_option
@on_error_option
@json_option
def predict(
    images: tuple[str, ...],
    adapters: tuple[Path, ...],
    out: Path,
    backbone: str | None,
    weights: str | None,
    device: str,
    on_error: str,
    as_json: bool,
) -> None:
    """Predict the class of every image in IMAGES: one pass of the backbone, any number of adapters.

    IMAGES are image files, folders (with all folders below them), CSV or Parquet files with a column path, .txt files with a
    path in each line, or name:folder of a built-in dataset; labels are not used. The table has one line for each image and
    adapter: path, adapter, label, probability.
    """
    from udta.prediction.predict import predict as run

    with ProgressDisplay("images") as progress:
        report = run(
            # One folder or table alone: paths in the result are relative to it. Of several they are as they were given.
            images[0] if len(images) == 1 else images,
            adapters=adapters,
            out=out,
            backbone=backbone,
            weights=weights,
            device=device,
            on_error="skip" if on_error == "skip" else "fail",  # click has checked it, but types cannot know
            progress=progress,
        )
    lines = [f"{report.out}: {report.images} image(s) x {len(report.adapters)} adapter(s)"]
    lines += [f"skipped {one_line(name)}: {reason}" for name, reason in report.skipped.items()]
    summarise(as_json, report.to_json(), "\n".join(lines))
