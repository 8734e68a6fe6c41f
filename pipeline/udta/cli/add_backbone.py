"""`udta add-backbone`."""

from __future__ import annotations

from typing import Any

import click

from udta.cli._common import emit, json_option
from udta.cli._options import Verb, options_of


@click.command(
    "add-backbone",
    cls=Verb,
    short_help="One more backbone in a project.",
    epilog="""\b
Example:
  udta add-backbone resnet50 --backbone resnet50 --weights pretrained --views 5""",
)
@click.argument("name")
@options_of("udta.extraction.options:StoreOptions", once=True)
@json_option
def add_backbone(name: str, as_json: bool, **options: Any) -> None:
    """Have the project in this folder extract every dataset with one more backbone: entry NAME of params.yaml.

    Comments in the file stay, and nothing is written unless the whole file is right.
    """
    from udta.project.add import add_backbone as run

    run(name, **options)
    emit(as_json, {"backbones": name}, f"params.yaml: backbone {name}", [["dvc", "repro"]])
