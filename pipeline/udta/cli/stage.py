"""`udta stage`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from udta.cli._common import Choice, emit, json_option


def _stages() -> Iterable[str]:
    # Only for who asks: it reads params.yaml, and so imports pydantic.
    from udta.project.stages import STAGES

    return STAGES


@click.command(
    short_help="What a stage of a project's dvc.yaml does.",
    epilog="""\b
Example:
  udta stage check
  udta stage train mobilenet_v2 photos""",
)
@click.argument("stage", metavar="STAGE", type=Choice(_stages))
@click.argument("names", nargs=-1)
@json_option
def stage(stage: str, names: tuple[str, ...], as_json: bool) -> None:
    """Do one stage of the project in this folder, as its dvc.yaml does.

    STAGE is check, prepare, extract, train, evaluate or report. NAMES are entries of params.yaml, a backbone, a dataset and an
    adapter as far as the stage takes them; DVC says them by itself. `dvc repro` does all stages that have something to do.
    """
    from udta.project.running import run_stage
    from udta.project.stages import STAGES

    entry = STAGES[stage]
    document, text = run_stage(entry.function, entry.tables, names)
    emit(as_json, document, text)
