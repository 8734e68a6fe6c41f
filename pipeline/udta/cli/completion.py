"""`udta completion`."""

from __future__ import annotations

import click

from udta.cli._common import emit, json_option


@click.command(
    short_help="Tab completion for bash, zsh or fish.",
    epilog="""\b
Example:
  udta completion bash >> ~/.bashrc
  udta completion zsh >> ~/.zshrc
  udta completion fish > ~/.config/fish/completions/udta.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
def completion(shell: str, as_json: bool) -> None:
    """Print what makes SHELL complete verbs, options, choices, names of adapters, files and folders.

    Append it to the file that your shell reads when it starts, as below, and open a new one. In bash, for this shell alone:
    eval "$(udta completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has one for each of the choices
    made = kind(click.get_current_context().find_root().command, {}, "udta", "_UDTA_COMPLETE")
    # Not `source`, which starts the bash of this machine for its version: the script may be for another.
    script = (made.source_template % made.source_vars()).strip("\n")
    emit(as_json, {"shell": shell, "script": script}, script)
