"""`udta evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli.common import PATH, STORE, device_option, emit, json_option


@click.command(
    epilog="""\b
Example:
  udta evaluate runs/photos-udta photos.zarr --split test"""
)
@click.argument("run", type=PATH)
@click.argument("store", type=STORE)
@click.option("--split", default="test", show_default=True, help="Which rows.")
@click.option("--out", type=PATH, help="Write the metrics to this JSON file as well.")
@device_option
@json_option
def evaluate(run: Path, store: Path, split: str, out: Path | None, device: str, as_json: bool) -> None:
    """Measure the adapter in RUN on one split of STORE."""
    from udta.evaluation import evaluate as measure

    metrics = measure(run, store, split=split, out=out, device=device)
    text = "\n".join(
        f"{name:15} {value:.4f}" if isinstance(value, float) else f"{name:15} {value}"
        for name, value in metrics.items()
    )
    emit(as_json, metrics, text)
