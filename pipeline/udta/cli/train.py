"""`udta train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from udta._console.display import ProgressDisplay
from udta._console.messages import say
from udta.cli._common import OUT, STORE, device_option, emit, json_option, options_from, overwrite_option

if TYPE_CHECKING:
    from udta.training.run import RunReport

_RECIPE = ("epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "mixup")


class AdapterOption(click.Option):
    """Its help names what the registry holds, which is not imported before somebody asks."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """See the class."""
        from udta.adapters import ADAPTERS
        from udta.training.auto import AUTO

        self.help = (
            f"{', '.join(ADAPTERS)}; or {AUTO}, which cross-validates some of them on the training rows and picks."
        )
        return super().get_help_record(ctx)


@click.command(
    epilog="""\b
Example:
  udta train photos.zarr --adapter udta --out runs/photos-udta
  udta train photos.zarr --adapter udta --option width=64 --epochs 20 --out runs/narrow
  udta train photos.zarr --adapter auto --out runs/best"""
)
@click.argument("store", type=STORE)
@click.option("--adapter", cls=AdapterOption, default="udta", show_default=True, metavar="NAME")
@click.option("--out", required=True, type=OUT, help="The run folder.")
@click.option(
    "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the adapter; may be repeated."
)
@click.option("--seed", default=0, show_default=True, help="Of initial weights, order, views and mixup.")
@click.option("--epochs", type=int, help="Passes over the training split.")
@click.option("--batch-size", type=int, help="Rows a step.")
@click.option("--lr", type=float, help="Peak of the one-cycle schedule.")
@click.option("--weight-decay", type=float, help="Decoupled, as AdamW has it.")
@click.option("--label-smoothing", type=float, help="Share of the target spread over all classes.")
@click.option("--mixup", type=float, help="Beta parameter of feature mixup, 0 for none.")
@click.option("--split", default="train", show_default=True, help="Rows to train on.")
@click.option("--test-split", metavar="SPLIT", help="Rows to evaluate on; test by default, if the store has it.")
@overwrite_option
@device_option
@json_option
def train(store: Path, out: Path, pairs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Train an adapter from STORE into a run folder: adapter.safetensors, metrics.json, history.csv.

    What is not given comes from the adapter's own recipe. Closed forms (ridge, knn) have none. Interrupted, the same command goes
    on from the last checkpoint.
    """
    from udta.training.train import train as run

    recipe = {name: options.pop(name) for name in _RECIPE}
    with ProgressDisplay("epochs", "the same command goes on from the last checkpoint, if there is one") as progress:
        report = run(
            store,
            out=out,
            options=options_from(pairs),
            recipe={name: value for name, value in recipe.items() if value is not None},
            on_phase=progress.phase,
            on_score=lambda score: say(
                f"{score.adapter}: {score.top1:.4f} top-1, {score.top1_views:.4f} over all views, of images left out"
                f" ({score.seconds:.1f} s)",
                err=True,
            ),
            **options,
        )
    emit(as_json, {"run": str(out), **report.to_json()}, "\n".join([*_trained(out, report), *_measured(out, report)]))


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
    return [
        *lines,
        f"{metrics['top1']:.4f} top-1, {metrics['top1_views']:.4f} over all views of {metrics['n']} test samples",
    ]
