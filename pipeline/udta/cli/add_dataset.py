"""`udta add-dataset`."""

from __future__ import annotations

from typing import Any

import click

from udta.cli._common import emit, json_option
from udta.cli._options import Verb, options_of


@click.command(
    "add-dataset",
    cls=Verb,
    short_help="One more dataset in a project.",
    epilog="""\b
Example:
  udta add-dataset pets ../pets
  udta add-dataset pets-colour ../pets --labels colours.csv --column colour""",
)
@click.argument("name")
@click.argument("images")
@options_of("udta.config:DatasetParams")
@json_option
def add_dataset(name: str, images: str, as_json: bool, **options: Any) -> None:
    """Have the project in this folder build one more dataset: entry NAME of params.yaml, of IMAGES as `udta extract` takes them.

    Comments in the file stay, and nothing is written unless the whole file is right.
    """
    from udta.project.add import add_dataset as run

    run(name, images, **options)
    emit(as_json, {"datasets": name}, f"params.yaml: dataset {name}", [["dvc", "repro"]])
