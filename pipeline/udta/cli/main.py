"""The command group, and where errors become messages and exit statuses, here alone."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import NoReturn

import click

from udta._console.interruption import STATUS, Interruption
from udta._console.messages import colours, complain, messages_shown, say
from udta._files.leftovers import remove_leftovers
from udta.cli._common import quiet_option, shell_line
from udta.errors import UdtaError, did_you_mean

# The registry of verbs, by journey and in the order of use: each is the click command of its own name in its module.
JOURNEYS = {
    "Before you start": {
        "doctor": "udta.cli.doctor",
        "backbones": "udta.cli.backbones",
        "taps": "udta.cli.taps",
        "adapters": "udta.cli.adapters",
        "plan": "udta.cli.plan",
    },
    "Features": {
        "extract": "udta.cli.extract",
        "info": "udta.cli.info",
        "verify": "udta.cli.verify",
        "diff": "udta.cli.diff",
        "inspect": "udta.cli.inspect",
        "similar": "udta.cli.similar",
        "export": "udta.cli.export",
    },
    "Adapters": {
        "train": "udta.cli.train",
        "sweep": "udta.cli.sweep",
        "fewshot": "udta.cli.fewshot",
        "evaluate": "udta.cli.evaluate",
        "report": "udta.cli.report",
    },
    "Use them": {
        "predict": "udta.cli.predict",
        "explain": "udta.cli.explain",
        "export-model": "udta.cli.export_model",
    },
    "A project of your own": {
        "init": "udta.cli.init",
        "add-dataset": "udta.cli.add_dataset",
        "add-backbone": "udta.cli.add_backbone",
        "add-adapter": "udta.cli.add_adapter",
        "stage": "udta.cli.stage",
    },
    "The command itself": {
        "completion": "udta.cli.completion",
    },
}
VERBS = {verb: module for verbs in JOURNEYS.values() for verb, module in verbs.items()}


class _Formatter(click.HelpFormatter):
    """Headings stand out; click leaves the style out where it is no terminal."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True))


class _Context(click.Context):
    formatter_class = _Formatter


class _Commands(Mapping[str, click.Command]):
    """The commands of `VERBS`; a verb's module is imported when it is called or its help is asked for."""

    def __getitem__(self, verb: str) -> click.Command:
        # A name with a hyphen is a function with an underscore, as click has it.
        found: click.Command = getattr(import_module(VERBS[verb]), verb.replace("-", "_"))
        found.context_class = _Context
        # Here, so that no verb is without it.
        if quiet_option not in found.params:
            found.params.append(quiet_option)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)

    def __contains__(self, verb: object) -> bool:
        return verb in VERBS  # else `Mapping` would import the module to find out


class _Udta(click.Group):
    """A group whose help lists verbs by journey."""

    context_class = _Context

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A section a journey."""
        for journey, verbs in JOURNEYS.items():
            found = {verb: command for verb in verbs if (command := self.get_command(ctx, verb)) and not command.hidden}
            # As wide as the longest name of all, so that the sections are one table.
            room = formatter.width - 6 - max(map(len, VERBS))
            with formatter.section(journey):
                formatter.write_dl(
                    [(f"{verb:{max(map(len, VERBS))}}", c.get_short_help_str(room)) for verb, c in found.items()]
                )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb. Raises `UsageError`, with the nearest one, when there is no such."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"there is no verb {args[0]!r}: {did_you_mean(args[0], VERBS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Udta, epilog="Exit status: 0 done, 1 the work failed, 2 bad usage. `udta VERB --help` has an example."
)
@click.version_option(package_name="udta")
def command() -> None:
    """Extract a frozen backbone's features once, train any number of thin adapters from them."""


command.params.append(quiet_option)
command.commands = _Commands()  # type: ignore[assignment]  # click only adds to it in `add_command`


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: a user's mistake ends in a message, never in a traceback."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def farewell(notes: list[str]) -> None:
        say("\n".join(["interrupted", *notes, f"again: {shell_line(['udta', *given])}"]), err=True)

    with Interruption(farewell, remove_leftovers) as interruption:
        try:
            with messages_shown():
                # Not standalone, where click prints errors and exits by itself: all that is printed goes by way of `say`, which
                # shows control characters in names instead of sending them to the terminal.
                status = command.main(given, prog_name="udta", standalone_mode=False, color=colours(), obj=given) or 0
        # Click makes an Abort of a KeyboardInterrupt, libraries an error of their own of one that meets them while they load.
        except BaseException as error:
            if interruption.came or isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
                # What each verb can say of what it leaves.
                stop = error.__cause__ if isinstance(error, click.exceptions.Abort) else error
                interruption.say(getattr(stop, "__notes__", []))
                status = STATUS
            else:
                status = _told(error)
    sys.exit(status)


def _told(error: BaseException) -> int:
    """The exit status of an error that is told; one that is nobody's mistake but ours is raised again."""
    if isinstance(error, click.ClickException):
        text = io.StringIO()
        error.show(text)
        say(text.getvalue().rstrip("\n"), err=True, paint=_red)
        return error.exit_code
    if isinstance(error, UdtaError):
        complain(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        # A disk that is full, a folder that may not be written to: no mistake of ours, so no traceback either.
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return 1
    raise error


def _red(text: str) -> str:
    """Click's own word for it, at the beginning of its last line."""
    return re.sub("^Error:", click.style("Error:", fg="red", bold=True), text, flags=re.MULTILINE)
