"""The registry of verbs, and what holds of all of them: help by journey, quiet, colours."""

import subprocess
import sys

import pytest

from udta.cli.main import JOURNEYS, VERBS, command


def test_a_verb_is_imported_when_it_is_asked_for():
    code = (
        "import sys; from udta.cli.main import command; assert 'diff' in command.commands;"
        "assert 'udta.cli.diff' not in sys.modules; command.commands['diff']; assert 'udta.cli.diff' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_called_as_it_is_registered(verb):
    assert command.commands[verb].name == verb


def test_help_has_a_line_a_verb_by_journey_and_keeps_to_narrow_terminals(udta_command, monkeypatch):
    for columns in (60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = udta_command("--help")[1].splitlines()
        assert max(map(len, lines)) <= columns
        shown = [command.commands[verb] for verb in VERBS if not command.commands[verb].hidden]
        for verb in shown:
            [line] = [line for line in lines if line.startswith(f"  {verb.name} ")]
            assert columns == 60 or not line.endswith("..."), "a short_help has to fit"
        assert [line for line in lines if line.rstrip(":") in JOURNEYS] == [f"{journey}:" for journey in JOURNEYS]


def test_a_misspelt_verb_is_told_the_nearest(udta_command):
    status, _, err = udta_command("extrct")
    assert (status, "there is no verb 'extrct': did you mean 'extract'" in err) == (2, True)


def test_quiet_leaves_results_and_errors(udta_command, toy_store, tmp_path):
    arguments = ("train", toy_store, "--adapter", "ridge", "--out")
    _, out, _ = udta_command(*arguments, tmp_path / "loud")
    assert f"next: udta evaluate {tmp_path / 'loud'} {toy_store}\n" in out
    for place, quiet in (("before", ("-q", *arguments)), ("after", (*arguments[:2], "--quiet", *arguments[2:]))):
        assert udta_command(*quiet, tmp_path / place) == (0, "", "")
    assert udta_command(*arguments, tmp_path / "loud")[1]  # it was for that call alone
    assert udta_command("info", toy_store, "-q")[1] == udta_command("info", toy_store)[1]
    assert udta_command("-q", "info", tmp_path / "absent")[2].startswith("error: ")


def test_colours_are_for_terminals_that_want_them(udta_command, monkeypatch, tmp_path):
    monkeypatch.setattr("click._compat.isatty", lambda stream: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert udta_command("info", tmp_path / "no\x1b[5mne")[2].startswith("\x1b[31m\x1b[1merror:\x1b[0m ")
    assert "\x1b[5m" not in udta_command("info", tmp_path / "no\x1b[5mne")[2]
    assert "\x1b[1mFeatures\x1b[0m:" in udta_command("--help")[1]
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert "\x1b" not in udta_command("info", tmp_path)[2] + udta_command("train", "--help")[1]
    monkeypatch.undo()
    assert "\x1b" not in udta_command("--help")[1], "piped"
