"""`udta fewshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from udta._console.display import ProgressDisplay
from udta.cli._common import OUT, STORE, device_option, emit, json_option, options_from, overwrite_option


@click.command(
    epilog="""\b
Example:
  udta fewshot photos.zarr --adapter udta --shots 1,5,all --seeds 5 --out runs/few"""
)
@click.argument("store", type=STORE)
@click.option("--adapter", default="udta", show_default=True, help="As of `udta train`.")
@click.option("--out", required=True, type=OUT, help="A folder for few_shot.json, few_shot.csv and the runs.")
@click.option("--shots", default="1,2,5,10,all", show_default=True, help="Training images a class.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(min=1), help="Subsets of each size.")
@click.option(
    "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the adapter; may be repeated."
)
@click.option(
    "--recipe", "changes", multiple=True, metavar="NAME=VALUE", help="A field of its recipe, such as epochs=20."
)
@click.option("--split", default="train", show_default=True, help="Rows that subsets are taken from.")
@click.option("--test-split", default="test", show_default=True, help="Rows to evaluate on.")
@overwrite_option
@device_option
@json_option
def fewshot(
    store: Path, shots: str, pairs: tuple[str, ...], changes: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """How good an adapter from STORE is after few images a class: a line for each number of shots, mean over seeds.

    Subsets are random, with the same number of images of each class, and nested: one shot is among the two.
    """
    from udta.training.few_shot import few_shot, parse_shots

    with ProgressDisplay("runs") as progress:
        report = few_shot(
            store,
            shots=parse_shots(shots),
            options=options_from(pairs),
            recipe=options_from(changes),
            on_phase=progress.phase,
            **options,
        )
    emit(as_json, report.to_json(), str(report))
