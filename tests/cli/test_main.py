"""The registry of verbs."""

import subprocess
import sys

import pytest

from udta.cli.main import VERBS, command


def test_a_verb_is_imported_when_it_is_asked_for():
    code = (
        "import sys; from udta.cli.main import command; assert 'diff' in command.commands;"
        "assert 'udta.cli.diff' not in sys.modules; command.commands['diff']; assert 'udta.cli.diff' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_called_as_it_is_registered(verb):
    assert command.commands[verb].name == verb
