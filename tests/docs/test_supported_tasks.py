"""The table of docs/labels.md of tasks: each command as it stands there, over the same features."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy import photographs

import udta
from udta.adapters import load_adapter
from udta.cli.main import command
from udta.tasks import TASKS

PAGE = Path(__file__).parent.parent.parent / "docs" / "labels.md"
SECTION = re.search(r"^## A command for each task\n(.*?)^## ", PAGE.read_text(), re.M | re.S)[1]
COMMANDS = re.findall(r"`(udta train [^`]+)`", SECTION)
PREDICT = re.search(r"`(udta predict [^`]+)`", SECTION)[1]
COLUMNS = {
    "bird": ("sparrow", '"wings,small"', 1, 0, 1.5, 0.03),
    "cat": ("cat", '"fur"', 0, 1, 4, 5),
    "dog": ("dog", '"fur,barks"', 1, 1, 9, 20),
}


def run(line, *options):
    done = CliRunner().invoke(command, [*shlex.split(line)[1:], *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_every_command_of_the_table(toy_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos.zarr").symlink_to(toy_store)
    photographs(tmp_path / "new_photos", per_class=1, seed=1)
    ids = udta.open_store(toy_store).ids.tolist()
    lines = (f"{name},{','.join(map(str, COLUMNS[name.partition('/')[0]]))}" for name in ids)
    Path("labels.csv").write_text("\n".join(["path,species,tags,day,indoors,age,weight", *lines]))
    for line in COMMANDS:
        run(line)
    headers = {path.name: load_adapter(path)[1] for path in Path("runs").iterdir()}
    assert {header.task for header in headers.values()} == set(TASKS)
    assert {name: header.classes for name, header in headers.items()} == {
        "classes": ("bird", "cat", "dog"),
        "species": ("cat", "dog", "sparrow"),
        "tags": ("barks", "fur", "small", "wings"),
        "flags": ("day", "indoors"),
        "numbers": ("age", "weight"),
    }
    run(PREDICT, "--backbone", "toy:net")
    assert Path("tasks.csv").read_text().startswith("path,adapter,label,probability,value")
