"""The command group, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from udta._console.messages import messages_shown, say
from udta.cli.diff import diff
from udta.cli.evaluate import evaluate
from udta.cli.export import export
from udta.cli.extract import extract
from udta.cli.fewshot import fewshot
from udta.cli.info import info
from udta.cli.plan import plan
from udta.cli.predict import predict
from udta.cli.sweep import sweep
from udta.cli.taps import taps
from udta.cli.train import train
from udta.cli.verify import verify
from udta.errors import UdtaError


@click.group(epilog="Exit status: 0 done, 1 the work failed, 2 bad usage. `udta VERB --help` has an example.")
@click.version_option(package_name="udta")
def command() -> None:
    """Extract a frozen backbone's features once, train any number of thin adapters from them."""


# In the order of use.
for verb in (taps, plan, extract, info, verify, diff, export, train, sweep, evaluate, fewshot, predict):
    command.add_command(verb)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: a user's mistake ends in a message, never in a traceback."""
    try:
        with messages_shown():
            status = command.main(arguments, prog_name="udta", standalone_mode=False) or 0
    except click.exceptions.Abort as stop:
        notes = getattr(stop.__cause__, "__notes__", [])  # what each verb can say of what it leaves
        say("\n".join(["interrupted", *notes]), err=True)
        status = 130
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        say(text.getvalue().rstrip("\n"), err=True)
        status = error.exit_code
    except UdtaError as error:
        say(f"error: {error}", err=True)
        status = error.exit_status
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}", err=True)
        status = 1
    sys.exit(status)
