"""`udta add-adapter`."""

from __future__ import annotations

from typing import Any

import click

from udta.cli._common import emit, json_option
from udta.cli._options import Verb, options_of


@click.command(
    "add-adapter",
    cls=Verb,
    short_help="One more adapter in a project.",
    epilog="""\b
Example:
  udta add-adapter narrow --adapter udta --option width=64 --epochs 20""",
)
@click.argument("name")
@options_of("udta.config:AdapterParams", leave_out=("recipe",))
@options_of("udta.training.options:RecipeOptions")
@json_option
def add_adapter(name: str, adapter: str, options: dict[str, Any], seed: int, as_json: bool, **recipe: Any) -> None:
    """Have the project in this folder train one more adapter on every store: entry NAME of params.yaml.

    Comments in the file stay, and nothing is written unless the whole file is right.
    """
    from udta.project.add import add_adapter as run

    changes = {field: value for field, value in recipe.items() if value is not None}
    run(name, adapter=adapter, options=options, recipe=changes, seed=seed)
    emit(as_json, {"adapters": name}, f"params.yaml: adapter {name}", [["dvc", "repro"]])
