"""Names that drive a terminal: no verb prints one raw, and stores and tables have them as they are."""

import csv
import json

import pytest
from PIL import Image
from toy import photographs

import udta
from udta._console.messages import say
from udta.cli._common import emit

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\x7f"
RAW = set("\x1b\x07\x9b\u202e\x7f\r")


@pytest.fixture
def folder(tmp_path):
    """Class folders of which one drives terminals, with an image that cannot be read and has such a name too."""
    root = photographs(tmp_path / "photos", per_class=4, classes=("cat", f"=1+1{HOSTILE}"))
    (root / "cat" / f"bad\nerror: all is well{HOSTILE}.png").write_bytes(b"no image")
    Image.new("RGB", (20, 20)).save(root / "cat" / f"+cmd{HOSTILE}.png")
    return root


def test_no_verb_sends_a_name_raw_to_the_terminal(udta_command, folder, tmp_path):
    store, run = tmp_path / "s", tmp_path / "run"
    taps = ("--backbone", "toy:net", "--taps", "stage1=grid(4),stage2=avg")
    outputs = []
    predict = ("predict", folder, "--adapter", run, *taps[:2], "--out", tmp_path / "p.csv", "--on-error", "skip")
    for verb in (
        ("plan", folder, *taps, "--out", store, "--on-error", "skip"),
        ("extract", folder, *taps, "--out", store),
        ("extract", folder, *taps, "--out", store, "--on-error", "skip"),
        ("info", store),
        ("info", store, "--json"),
        ("diff", store, store),
        ("train", store, "--adapter", "linear", "--epochs", 1, "--out", run),
        ("evaluate", run, store, "--split", HOSTILE),
        ("evaluate", run, tmp_path / HOSTILE),
        ("info", HOSTILE, HOSTILE),
        predict,
        (*predict, "--json"),
    ):
        _, out, err = udta_command(*verb)
        outputs.append((verb[0], out + err))
    assert {verb for verb, text in outputs if RAW & set(text)} == set()
    assert not any(line.startswith("error: all is well") for _, text in outputs for line in text.splitlines())
    assert r"bad\nerror: all is well\x1b]0;owned" in outputs[2][1]
    # What is stored is what the folder holds.
    assert f"cat/+cmd{HOSTILE}.png" in udta.open_store(store).ids
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"'=1+1{HOSTILE}/000.png" in [row["path"] for row in rows]
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_json_is_ascii_without_delete(capsys):
    emit(True, {"name": HOSTILE}, "")
    out = capsys.readouterr().out
    assert not RAW & set(out)
    assert json.loads(out) == {"name": HOSTILE}
    say(HOSTILE, err=True)
    assert not RAW & set(capsys.readouterr().err)
