"""`udta predict`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from udta._console.display import ProgressDisplay
from udta._console.messages import remark, say
from udta._console.terminal import one_line
from udta.cli._common import OUT, PATH, complete_paths, device_option, json_option, on_error_option, summarise


@click.command(
    short_help="Classes of new images, of any number of adapters.",
    epilog="""\b
Example:
  udta predict new_photos --adapter runs/photos-udta --out predictions.csv
  udta predict one.jpg more/*.png --adapter runs/photos-udta --out predictions.csv
  udta predict new_photos --adapter runs/species --adapter runs/habitat --out predictions.parquet
  find . -name '*.jpg' | udta predict - --adapter runs/photos-udta --top-k 3 --out -""",
)
@click.argument("images", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--adapter", "adapters", required=True, multiple=True, type=PATH, help="A run folder; may be repeated.")
@click.option("--out", required=True, type=OUT, help="A .csv or .parquet file, or - for CSV on standard output.")
@click.option("--top-k", type=int, metavar="K", help="A line for each of the K likeliest classes, with its rank.")
@click.option("--probabilities", is_flag=True, help="A column for the probability of every class.")
@click.option(
    "--views", type=int, default=1, show_default=True, help="Views of each image to average: augmented as in the store."
)
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
    top_k: int | None,
    probabilities: bool,
    views: int,
    backbone: str | None,
    weights: str | None,
    device: str,
    on_error: str,
    as_json: bool,
) -> None:
    """Predict the class of every image in IMAGES: one pass of the backbone, any number of adapters.

    IMAGES are image files, folders (with all folders below them), CSV or Parquet files with a column path, .txt files with a
    path in each line, name:folder of a built-in dataset, or - for paths on standard input, one a line; labels are not used. The
    table has one line for each image and adapter: path, adapter, label, probability.

    Running the same command again continues an interrupted one, and ends with the same table.
    """
    from udta.prediction.predict import predict as run

    printed = str(out) == "-"
    if printed and as_json:
        raise click.UsageError("--json prints one document, and --out - prints the table: give one of them")
    resumes = "" if printed else f"what is done is kept beside {out}"
    with ProgressDisplay("images", resumes) as progress:
        report = run(
            _named(images),
            adapters=adapters,
            out=_Printed() if printed else out,
            top_k=top_k,
            probabilities=probabilities,
            views=views,
            backbone=backbone,
            weights=weights,
            device=device,
            on_error="skip" if on_error == "skip" else "fail",  # click has checked it, but types cannot know
            progress=progress,
        )
    before = f", {report.resumed} of them before" if report.resumed else ""
    lines = [f"{out}: {report.images} image(s) x {len(report.adapters)} adapter(s){before}"]
    lines += [f"skipped {one_line(name)}: {reason}" for name, reason in report.skipped.items()]
    if printed:
        remark("\n".join(lines))
    else:
        summarise(as_json, report.to_json(), "\n".join(lines))


class _Printed:
    """Standard output, where control characters in names are shown."""

    def write(self, text: str) -> None:
        say(text.removesuffix("\n"))


def _named(images: tuple[str, ...]) -> str | list[str]:
    """One folder or table alone: paths in the result are relative to it. Of several they are as they were given."""
    if images == ("-",):
        # Bytes, decoded as all names of files are: one that is not UTF-8 is refused by its name, not by its line.
        listed = (os.fsdecode(line.rstrip(b"\r\n")) for line in sys.stdin.buffer)
        if not (found := [path for path in listed if path]):
            raise click.UsageError("standard input names no image: it is read as a path in each line")
        return found
    if "-" in images:
        raise click.UsageError("- stands for a list of images on standard input: name no others beside it")
    return images[0] if len(images) == 1 else list(images)
