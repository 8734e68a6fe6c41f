"""`udta train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from udta._console.display import ProgressDisplay
from udta._console.messages import remark
from udta.cli._common import STORE, json_option, summarise
from udta.cli._options import Verb, options_of

if TYPE_CHECKING:
    from udta.training._run_report import RunReport


@click.command(
    cls=Verb,
    short_help="Train an adapter from a store.",
    epilog="""\b
Example:
  udta train photos.zarr --adapter udta --out runs/photos-udta
  udta train photos.zarr --adapter udta --option width=64 --epochs 20 --out runs/narrow
  udta train photos.zarr --adapter auto --out runs/best
  udta train photos.zarr --labels colours.csv --column colour --out runs/colours
  udta train photos.zarr --adapter udta --class-weights balanced --out runs/rare-classes""",
)
@click.argument("store", type=STORE)
@options_of("udta.training.options:TrainOptions", leave_out=("recipe",))
@options_of("udta.training.options:RecipeOptions")
@json_option
def train(store: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Train an adapter from STORE into a run folder: adapter.safetensors, metrics.json, history.csv.

    What is not given comes from the adapter's own recipe, of which closed forms (ridge, ranpac, gda, knn) have logit adjustment
    alone. Interrupted, the same command goes on from the last checkpoint.
    """
    # Here, after everything that click can refuse: it loads torch.
    from udta.tasks import FIGURE_NAMES
    from udta.training.options import RecipeOptions
    from udta.training.train import train as run

    recipe = {name: options.pop(name) for name in RecipeOptions.model_fields}
    with ProgressDisplay("epochs", "the same command goes on from the last checkpoint, if there is one") as progress:
        report = run(
            store,
            out=out,
            # Only what was given: everything else is the adapter's own.
            recipe={name: value for name, value in recipe.items() if value is not None},
            progress=progress,
            # To standard error: standard output is the report's, which `--json` makes one document.
            on_score=lambda score: remark(
                f"{score.adapter}: {score.value:.4f} {FIGURE_NAMES[score.figure]}, {score.of_views:.4f} over all views,"
                " of images left out"
                f" ({score.seconds:.1f} s)"
            ),
            **options,
        )
    text = "\n".join([*_trained(out, report), *_measured(out, report)])
    following = [["udta", "predict", "NEW_PHOTOS", "--adapter", out, "--out", "predictions.csv"]]
    if report.metrics:
        following.insert(0, ["udta", "evaluate", out, store])
    summarise(as_json, {"run": str(out), **report.to_json()}, text, following)


def _trained(out: Path, report: RunReport) -> list[str]:
    from udta.training.cost import describe_cost

    if report.found:
        return [f"{out}: this very run is finished, nothing to do"]
    return [
        f"{out}: {report.adapter}, {report.parameters:,} parameters, {report.epochs} epochs on {report.train_samples} samples"
        f" in {report.seconds:.1f} s",
        describe_cost(report.cost),
    ]


def _measured(out: Path, report: RunReport) -> list[str]:
    from udta.tasks import FIGURE_NAMES

    metrics, lines = report.metrics, []
    if report.untrained:
        names = ", ".join(repr(name) for name in report.untrained[:3]) + (", ..." if len(report.untrained) > 3 else "")
        lines.append(
            f"{len(report.untrained)} class(es) had no image to train on, images of them cannot be right: {names}"
        )
    if not metrics:
        return [
            *lines,
            f"no metrics: the store has no labelled test split; udta evaluate {out} STORE --split NAME measures another",
        ]
    figure = next(name for name in FIGURE_NAMES if name in metrics)
    return [
        *lines,
        f"{metrics[figure]:.4f} {FIGURE_NAMES[figure]}, {metrics[f'{figure}_views']:.4f} over all views of {metrics['n']}"
        " test samples",
    ]
