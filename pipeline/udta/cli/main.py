"""The command group, and where errors become messages and exit statuses, here alone."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import NoReturn

import click

from udta._console.messages import messages_shown, say
from udta.errors import UdtaError

# The registry of verbs, in the order of use: each is the click command of its own name in its module.
VERBS = {
    "backbones": "udta.cli.backbones",
    "taps": "udta.cli.taps",
    "plan": "udta.cli.plan",
    "extract": "udta.cli.extract",
    "info": "udta.cli.info",
    "verify": "udta.cli.verify",
    "diff": "udta.cli.diff",
    "export": "udta.cli.export",
    "train": "udta.cli.train",
    "sweep": "udta.cli.sweep",
    "evaluate": "udta.cli.evaluate",
    "fewshot": "udta.cli.fewshot",
    "predict": "udta.cli.predict",
}


class _Commands(Mapping[str, click.Command]):
    """The commands of `VERBS`; a verb's module is imported when it is called or its help is asked for."""

    def __getitem__(self, verb: str) -> click.Command:
        # A name with a hyphen is a function with an underscore, as click has it.
        found: click.Command = getattr(import_module(VERBS[verb]), verb.replace("-", "_"))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)

    def __contains__(self, verb: object) -> bool:
        return verb in VERBS  # else `Mapping` would import the module to find out


@click.group(epilog="Exit status: 0 done, 1 the work failed, 2 bad usage. `udta VERB --help` has an example.")
@click.version_option(package_name="udta")
def command() -> None:
    """Extract a frozen backbone's features once, train any number of thin adapters from them."""


command.commands = _Commands()  # type: ignore[assignment]  # click only adds to it in `add_command`


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: a user's mistake ends in a message, never in a traceback."""
    try:
        with messages_shown():
            # Not standalone, where click prints errors and exits by itself: all that is printed goes by way of `say`, which
            # shows control characters in names instead of sending them to the terminal.
            status = command.main(arguments, prog_name="udta", standalone_mode=False) or 0
    except click.exceptions.Abort as stop:
        # Click makes an Abort of every KeyboardInterrupt; its notes are what each verb can say of what it leaves.
        notes = getattr(stop.__cause__, "__notes__", [])
        say("\n".join(["interrupted", *notes]), err=True)
        status = 130  # 128 + SIGINT, as a shell has it
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        say(text.getvalue().rstrip("\n"), err=True)
        status = error.exit_code
    except UdtaError as error:
        say(f"error: {error}", err=True)
        status = error.exit_status
    except OSError as error:
        # A disk that is full, a folder that may not be written to: no mistake of ours, so no traceback either.
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}", err=True)
        status = 1
    sys.exit(status)
