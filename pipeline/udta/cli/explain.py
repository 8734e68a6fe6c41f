"""`udta explain`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli._common import OUT, PATH, complete_paths, device_option, emit, json_option


@click.command(
    short_help="Where on an image an answer comes from.",
    epilog="""\b
Example:
  udta explain runs/photos-udta cat.jpg --out cat.png
  udta explain runs/photos-udta cat.jpg --class lynx --out lynx.png --json""",
)
@click.argument("run", type=PATH)
@click.argument("image", shell_complete=complete_paths)
@click.option("--out", required=True, type=OUT, metavar="FILE.png", help="The picture.")
@click.option("--class", "class_name", metavar="NAME", help="The class, label or target; by default the likeliest.")
@click.option(
    "--backbone", help="The backbone, if it is your own factory or is named otherwise now than at extraction."
)
@click.option("--weights", help="Where its weights are now.")
@device_option
@json_option
def explain(
    run: Path,
    image: str,
    out: Path,
    class_name: str | None,
    backbone: str | None,
    weights: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Show where on IMAGE what the adapter in RUN says comes from.

    Contributions of positions to the answer, exact, over the photograph as the backbone saw it: vermilion speaks for the class,
    blue against it. For adapters whose answer is a sum over positions: udta, linear, concat_linear, head2toe.
    """
    from udta.explanation.explain import explain as run_it

    found = run_it(run, image, class_name=class_name, out=out, backbone=backbone, weights=weights, device=device)
    emit(as_json, found.to_json(), f"{found.out}: {found}")
