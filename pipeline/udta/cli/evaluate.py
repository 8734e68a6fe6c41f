"""`udta evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from udta._console.terminal import one_line
from udta._console.text_table import text_table
from udta.cli._common import OUT, PATH, STORE, device_option, emit, json_option
from udta.cli._options import Verb, options_of

_NAMED = 20  # lines of a table on a terminal


@click.command(
    cls=Verb,
    short_help="Measure an adapter on a split of a store.",
    epilog="""\b
Example:
  udta evaluate runs/photos-udta photos.zarr --split test
  udta evaluate runs/photos-udta photos.zarr --against runs/photos-linear --predictions photos.csv
  udta evaluate runs/colours photos.zarr --labels colours.csv
  udta evaluate runs/photos-udta photos.zarr --parity 16""",
)
@click.argument("run", type=PATH)
@click.argument("store", type=STORE)
@options_of("udta.labels.options:LabelOptions", leave_out=("task",))
@click.option("--task", metavar="NAME", help="What the labels are for; by default what the adapter is for.")
@click.option("--split", default="test", show_default=True, help="Which rows.")
@click.option("--out", type=OUT, help="Write the metrics to this JSON file as well.")
@click.option("--predictions", type=OUT, metavar="FILE", help="A line an image, .csv or .parquet.")
@click.option("--confusion", type=OUT, metavar="FILE", help="The confusion matrix with class names, .csv or .parquet.")
@click.option("--against", type=PATH, metavar="RUN2", help="Compare with another run, image by image.")
@click.option(
    "--parity", default=0, type=click.IntRange(min=0), metavar="N", help="Compare N images with the live backbone."
)
@click.option("--images", type=PATH, help="For --parity: the images, if they are not where they were at extraction.")
@click.option("--backbone", help="For --parity: the backbone, if it is your own factory or is named otherwise now.")
@click.option("--weights", help="For --parity: its weights, if they are not where they were.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap and the choice of images.")
@device_option
@json_option
def evaluate(run: Path, store: Path, as_json: bool, **options: Any) -> None:
    """Measure the adapter in RUN on one split of STORE.

    The low and high ends of intervals are of 95 % bootstrap intervals over images.
    """
    from udta.evaluation.measure import evaluate as measure

    metrics = measure(run, store, **options)
    emit(as_json, metrics, "\n".join(_lines(metrics)))


def _lines(metrics: Mapping[str, Any]) -> list[str]:
    # Single figures as they stand in the document: a new one appears here by itself. The confusion matrix is for files. The
    # longest name has 15 letters, `top1_views_high`.
    lines = [
        f"{name:15} {value:.4f}" if isinstance(value, float) else f"{name:15} {value}"
        for name, value in metrics.items()
        if isinstance(value, float | int)
    ]
    for part in ("by_label", "by_target"):
        lines += _by_name(metrics.get(part, {}))
    if untrained := metrics.get("untrained"):
        # Three of them in a line; the document has all.
        names = ", ".join(map(repr, untrained["classes"][:3])) + (", ..." if len(untrained["classes"]) > 3 else "")
        lines.append(
            f"{untrained['images']} image(s) cannot be right, there was none of their class in training: {names}"
        )
    against = metrics.get("against")
    if against:
        lines.append(f"against {against['run']}:")
        lines += [
            f"  {name:13} {pair['difference']:+.4f} [{pair['low']:+.4f}, {pair['high']:+.4f}], McNemar p = {pair['p']:.2g}"
            f" ({pair['only_this']} images only this run gets right, {pair['only_other']} only the other)"
            for name, pair in (("single view", against["single"]), ("all views", against["views"]))
        ]
    if "parity" in metrics:
        from udta.evaluation.parity import ParityReport

        # Metrics are a document, so that they can be written; its sentence is the report's.
        found = metrics["parity"]
        lines.append(str(ParityReport(**{**found, "differing": tuple(found["differing"])})))
    return lines


def _by_name(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table with a line for each of some labels or targets; the document has all."""
    if not figures:
        return []
    columns = list(next(iter(figures.values())))
    rows = [[one_line(name), *(_figure(found[column]) for column in columns)] for name, found in figures.items()]
    more = [f"and {len(rows) - _NAMED} more"] if len(rows) > _NAMED else []
    return [text_table(("", *columns), rows[:_NAMED], left=1, dashes=False), *more]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
