"""`udta fewshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, STORE, json_option, summarise
from udta.cli._options import Verb, options_of


@click.command(
    cls=Verb,
    short_help="Accuracy after few images a class.",
    epilog="""\b
Example:
  udta fewshot photos.zarr --adapter udta --shots 1,5,all --seeds 5 --out runs/few""",
)
@click.argument("store", type=STORE)
@options_of("udta.training.options:TrainOptions", only=("adapter",))
@click.option("--out", required=True, type=OUT, help="A folder for few_shot.json, few_shot.csv and the runs.")
@click.option("--shots", default="1,2,5,10,all", show_default=True, help="Training images a class.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(min=1), help="Subsets of each size.")
@options_of("udta.training.options:TrainOptions", only=("options", "recipe"))
@options_of("udta.labels.options:LabelOptions")
@click.option("--split", default="train", show_default=True, help="Rows that subsets are taken from.")
# Unlike in `udta train` there is nothing to report without them.
@click.option("--test-split", default="test", show_default=True, help="Rows to evaluate on.")
@options_of("udta.training.options:TrainOptions", only=("overwrite", "device"))
@json_option
def fewshot(store: Path, shots: str, as_json: bool, **options: Any) -> None:
    """How good an adapter from STORE is after few images a class: a line for each number of shots, mean over seeds.

    Subsets are random, with the same number of images of each class, and nested: one shot is among the two.
    """
    # Here, after everything that click can refuse: it loads torch.
    from udta.training.few_shot import fewshot as run
    from udta.training.few_shot import parse_shots

    with ProgressDisplay("runs", "the same command goes on with what is left of the runs") as progress:
        report = run(
            store,
            shots=parse_shots(shots),
            progress=progress,
            **options,
        )
    following = [["udta", "train", store, "--adapter", options["adapter"], "--out", f"runs/{store.stem}"]]
    summarise(
        as_json, report.to_json(), f"{report}\n{options['out']}: few_shot.json, few_shot.csv and the runs", following
    )
