"""`udta export-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, PATH, json_option, summarise


@click.command(
    short_help="Backbone and adapters as one ONNX or torch program.",
    epilog="""\b
Example:
  udta export-model runs/photos-udta --to onnx --out photos.onnx
  udta export-model runs/species runs/habitat --to torch --out birds.pt2 --images photos""",
)
@click.argument("runs", nargs=-1, required=True, type=PATH)
@click.option(
    "--to", required=True, type=click.Choice(["onnx", "torch"]), help="For onnxruntime, or torch.export.load."
)
@click.option("--out", required=True, type=OUT, metavar="FILE", help="A .onnx or a .pt2.")
@click.option("--images", type=PATH, help="Photographs to check it on; by default those of the training.")
@click.option(
    "--backbone", help="The backbone, if it is your own factory or is named otherwise now than at extraction."
)
@click.option("--weights", help="Where its weights are now.")
@json_option
def export_model(runs: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Write the backbone and the adapters in RUNS as one program that runs without udta.

    It takes 8-bit images after resizing and cropping, any number at a time, and gives probabilities for every adapter. It is
    compared with PyTorch on photographs first, and not written where it says something else. What it says of itself (transform,
    classes, fingerprints, the comparison) is JSON in the file, under the key udta.
    """
    from udta.deployment.export_model import export_model as run

    with ProgressDisplay("steps") as progress:
        report = run(runs, progress=progress, **options)
    summarise(as_json, report.to_json(), str(report))
