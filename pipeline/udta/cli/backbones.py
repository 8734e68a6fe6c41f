"""`udta backbones`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from udta._console.text_table import text_table
from udta.cli._common import emit, json_option

if TYPE_CHECKING:
    from udta.backbones._finding import SourceInfo
    from udta.backbones.sources.source import Offer

# As many as can be looked through; `resnet` has 200.
_SHOWN = 40


@click.command(
    short_help="What is installed, and what a name would load.",
    epilog="""\b
Example:
  udta backbones
  udta backbones dinov2
  udta backbones open_clip:ViT-B-32 --all
  udta backbones hf:facebook/dinov2-small""",
)
@click.argument("word", default="")
@click.option("--all", "show_all", is_flag=True, help=f"Every match, not the first {_SHOWN}.")
@json_option
def backbones(word: str, show_all: bool, as_json: bool) -> None:
    """List where backbones come from; with WORD, what every name that contains it would load, and whether that is here.

    Nothing is downloaded, and no network is asked.
    """
    from udta.backbones import backbones as run

    report = run(word)
    shown = len(report.matches) if show_all else _SHOWN
    text = _matches(report.matches, shown, report.sources) if word else _sources(report.sources)
    emit(as_json, report.to_json(), text)


def _sources(sources: Sequence[SourceInfo]) -> str:
    def state(source: SourceInfo) -> str:
        if not source.library:
            return "your own code"
        return f"{source.library} {source.version}" if source.version else f"not installed: {source.install}"

    rows = ((source.source, source.spelling, state(source)) for source in sources)
    table = text_table(("source", "--backbone", "library"), rows, left=3, dashes=False)
    return f"{table}\n\n`udta backbones WORD` lists the names that contain WORD and what they would load."


def _matches(found: Sequence[Offer], shown: int, sources: Sequence[SourceInfo]) -> str:
    head = ("--backbone", "--weights", "input", "here", "loads")
    rows = [_cells(offer) for offer in found[:shown]]
    text = text_table(head, rows, left=len(head), dashes=False)
    more = len(found) - len(rows)
    notes = [f"and {more} more: a longer WORD, or --all"] if more else []
    notes += [f"not searched: {each.source} ({each.install})" for each in sources if each.install]
    return "\n".join((text, *([""] if notes else []), *notes))


def _cells(offer: Offer) -> tuple[str, ...]:
    size = "" if offer.size is None else "x".join(map(str, offer.size))
    here = ("yes" if offer.here else "no") if offer.origin else ""
    return offer.backbone, offer.weights, size, here, offer.origin or "nothing published: give a file"
