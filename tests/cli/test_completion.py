"""Completion, as bash asks for it."""

import json
import shutil
import subprocess

import pytest

from udta.adapters import ADAPTERS
from udta.cli.main import VERBS, main


@pytest.fixture
def completed(capsys, monkeypatch):
    """What stands below a line that is typed so far."""

    def complete(line):
        monkeypatch.setenv("_UDTA_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        with pytest.raises(SystemExit):
            main([])
        return [tuple(found.split(",")) for found in capsys.readouterr().out.split()]

    return complete


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("udta ", [("plain", verb) for verb in VERBS]),
        ("udta train photos.zarr --ada", [("plain", "--adapter")]),
        ("udta train photos.zarr --adapter ", [("plain", name) for name in (*ADAPTERS, "auto")]),
        ("udta train photos.zarr --adapter ri", [("plain", "ridge")]),
        ("udta extract --dtype bf", [("plain", "bfloat16")]),
        ("udta extract ph", [("file", "ph")]),
        ("udta train ph", [("file", "ph")]),
        ("udta train photos.zarr --out r", [("file", "r")]),
        ("udta completion ", [("plain", "bash"), ("plain", "zsh"), ("plain", "fish")]),
    ],
)
def test_what_is_completed(completed, line, expected):
    found = completed(line)
    assert set(expected) <= set(found) if line == "udta " else found == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_bash_takes_it(udta_command, shell):
    status, script, err = udta_command("completion", shell)
    assert (status, err, "_UDTA_COMPLETE=" in script) == (0, "", True)
    assert json.loads(udta_command("completion", shell, "--json")[1]) == {"shell": shell, "script": script.strip()}
    if shell == "bash" and shutil.which("bash"):
        typed = f"{script}\nudta() {{ :; }}\ncomplete -p udta"
        said = subprocess.run(["bash", "--norc", "-c", typed], capture_output=True, text=True, check=True)
        assert "-F _udta_completion udta" in said.stdout
