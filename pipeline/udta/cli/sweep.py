"""`udta sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, PATH, STORE, device_option, json_option, summarise
from udta.cli._options import Verb, options_of


@click.command(
    cls=Verb,
    short_help="Train many adapters in one pass over the data.",
    epilog="""\b
Example:
  udta sweep photos.zarr --adapters sweep.yaml --out sweeps/photos --halving
with sweep.yaml:
  adapters:
    udta:
      seeds: [0, 1, 2]
      grid:
        recipe: {lr: [0.0005, 0.001, 0.002]}
    linear: {adapter: linear}""",
)
@click.argument("store", type=STORE)
@click.option("--adapters", required=True, type=PATH, help="YAML: what to train, see docs/sweep.md.")
@click.option(
    "--out", required=True, type=OUT, help="Folder of the runs and the table; an unfinished sweep is continued."
)
@options_of("udta.labels.options:LabelOptions")
@click.option("--validation", type=float, help="Share of the training rows to compare on; 0.2, or what the file says.")
@click.option("--halving", is_flag=True, help="Stop the worse half early, three times, unless the file says otherwise.")
@click.option(
    "--seed", default=0, show_default=True, help="Of validation and shares of labels; an adapter's own is in the file."
)
@device_option
@options_of("udta.training.options:TrainOptions", only=("tensorboard",))
@json_option
def sweep(store: Path, halving: bool, as_json: bool, **options: Any) -> None:
    """Train many adapters from STORE, reading the data once an epoch for all of them.

    Leaves runs/NAME/ for each, best/, results.csv and results.parquet in the folder. Adapters are compared on a part of the
    training split; nothing is chosen on the test split. Running the same command again continues an interrupted sweep.
    """
    from udta.training.sweep import sweep as run

    with ProgressDisplay("epochs", "the same command goes on from the last saved state") as progress:
        report = run(
            store,
            # Not given is not "no": the file may ask for it.
            halving=halving or None,
            progress=progress,
            **options,
        )
    best = [Path(report.out) / "best" / (task if len(report.best) > 1 else "") for task in report.best]
    following = [
        [
            "udta",
            "predict",
            "NEW_PHOTOS",
            *(word for run in best for word in ("--adapter", run)),
            "--out",
            "predictions.csv",
        ]
    ]
    summarise(as_json, report.to_json(), f"{report}\n{report.out}: results.csv, runs/ and best/", following)
