"""`udta init`."""

from __future__ import annotations

from pathlib import Path

import click

from udta.cli._common import OUT, emit, json_option


@click.command(
    short_help="Write a project of your own, for DVC.",
    epilog="""\b
Example:
  udta init flowers --images photos --weights pretrained
  cd flowers && dvc repro""",
)
@click.argument("directory", type=OUT)
@click.option("--images", required=True, help="What `udta extract` takes as IMAGES; they stay where they are.")
@click.option(
    "--backbone",
    default="mobilenet_v2",
    show_default=True,
    help="A torchvision or timm name, or package.module:factory?key=value.",
)
@click.option(
    "--weights",
    help="A file, pretrained[@REV], a torchvision weight enum, or none; by default pretrained of a hub, else none: random.",
)
@json_option
def init(directory: Path, images: str, backbone: str, weights: str | None, as_json: bool) -> None:
    """Write a project of your own into DIRECTORY: dvc.yaml, params.yaml, .gitignore, README.md.

    `dvc repro` in it extracts, trains, evaluates and reports; params.yaml says what, with a comment on every value. Nothing is
    written over. It needs DVC: pip install 'udta[project]'.
    """
    # Here, after everything that click can refuse: it loads torch.
    from udta.project.init import init as run

    report = run(directory, images=images, backbone=backbone, weights=weights)
    emit(as_json, report.to_json(), str(report), [["cd", directory], ["dvc", "repro"]])
