"""`udta doctor`."""

from __future__ import annotations

import re

import click

from udta.cli._common import PATH, emit, json_option

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    short_help="Is this machine ready, and what to do?",
    epilog="""\b
Example:
  udta doctor
  udta doctor /data/stores --json""",
)
@click.argument("directory", metavar="[DIR]", default=".", type=PATH)
@json_option
def doctor(directory: str, as_json: bool) -> None:
    """Look at what udta needs on this machine, and say what to do.

    Python, torch beside torchvision, GPU and driver, formats of images, extras, DVC and git, locale, cores, memory, limits of
    open files, and room and speed of the disk of DIR, where stores shall lie: at most 64 MB are written there for a second.

    Exit status 1 when something fails; warnings are of what is slow or left out.
    """
    from udta.diagnosis import doctor as look

    found = look(directory)
    emit(as_json, found.to_json(), str(found), paint=_painted)
    if not found.healthy:
        raise click.exceptions.Exit(1)


def _painted(text: str) -> str:
    return re.sub(
        "^(ok|warn|fail)(?= )", lambda status: click.style(status[0], fg=_COLOURS[status[0]]), text, flags=re.MULTILINE
    )
