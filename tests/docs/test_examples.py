"""Every example of the README and of `docs/` does what it says: shell and Python blocks run, in their order, as a reader would.

A block that begins with the comment `# NAME.yaml` or `# NAME.py` is the content of that file. Blocks of `text`, and those
without a language, are no examples. Lines that are nothing but a call of `udta` run in this process, which saves each of
them the seconds that torch takes to load; everything else is the shell's.
"""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builtin_layouts import LAYOUTS
from toy import photographs

import udta
from udta.cli.main import command

ROOT = Path(__file__).parent.parent.parent
# One is followed from a wheel, by tests/project/test_strangers_path.py.
ELSEWHERE = {"projects"}
PAGES = sorted(
    path
    for path in (ROOT / "docs").glob("*.md")
    if re.search("^```(sh|console|python)$", path.read_text(), re.M) and path.stem not in ELSEWHERE
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.(?:yaml|py))\b")
# What the reader has done before, and what needs a network.
DONE = ("make", "pip", "python3", ".")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the pages take for granted: photographs, weights, archives of datasets, a table of labels."""
    world = tmp_path_factory.mktemp("world")
    photographs(world / "photos", per_class=8)
    photographs(world / "new_photos", per_class=1, seed=1)
    # As torch calls the file of the published weights in its cache: random ones, since the tests have no network.
    cached = world / "torch" / "hub" / "checkpoints"
    cached.mkdir(parents=True)
    for name, file in (("resnet50", world / "resnet50.pth"), ("mobilenet_v2", cached / "mobilenet_v2-7ebf99e0.pth")):
        torch.save(udta.build_backbone(name).module.state_dict(), file)
    (world / "mobilenet.pth").symlink_to(cached / "mobilenet_v2-7ebf99e0.pth")
    for name, folder in (("aircraft", "fgvc-aircraft-2013b"), ("flowers102", "flowers")):
        LAYOUTS[name](world / "data" / folder)
    rows = [f"{path.parent.name}/{path.name}" for path in sorted((world / "photos").rglob("*.png"))]
    lines = (f"{row},{'even' if number % 2 else 'odd'}" for number, row in enumerate(rows))
    (world / "colours.csv").write_text("\n".join(("path,label", *lines)) + "\n")
    return world


@pytest.fixture(scope="module")
def stores(world):
    """`photos.zarr` and `photos.h5` with the taps that a ResNet has, of a small one."""
    options = {"backbone": "resnet18", "views": 2}
    udta.extract(world / "photos", taps="layer3=grid(14),layer4,avgpool=avg", out=world / "photos.zarr", **options)
    udta.extract(world / "photos", taps="layer4=avg", out=world / "photos.h5", format="hdf5", **options)


@pytest.fixture
def place(world, stores, tmp_path, monkeypatch):
    """A function that goes to a folder for one page: all of the world lies there, but what the page makes itself."""

    def go(page):
        text = page.read_text()
        for entry in world.iterdir():
            if not re.search(rf"""out( |=")({entry.name})["\s]""", text):
                (tmp_path / entry.name).symlink_to(entry)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("TORCH_HOME", str(world / "torch"))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    return go


def blocks(page):
    return [(language, text) for language, text in BLOCK.findall(page.read_text())]


def follow(page):
    """Do what a page shows, in the folder where we are; Python begins there, wherever the shell went."""
    names, start = {}, Path.cwd()
    for _, text in blocks(page):
        if file := FILE.match(text):
            Path(file[1]).write_text(text)
    for language, text in blocks(page):
        here = re.sub(r"(?<=[:\s])/data\b", str(Path("data").resolve()), text)
        if FILE.match(text):
            continue
        if language in ("sh", "console"):
            for line in lines(here):
                do(line)
        elif language == "python":
            with contextlib.chdir(start):
                exec(compile(here, page.name, "exec"), names)


def lines(script):
    """Commands, one each, whatever the lines that they are written on; the prompt of a console is taken away."""
    script = re.sub(r"^\$ ", "", script, flags=re.M)
    return [line for line in re.sub(r"\\\n", " ", script).splitlines() if line and not line.startswith("#")]


def do(line):
    """One command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = list(lexer)
    if words[0] == "cd":
        os.chdir(words[1])
    elif words[0] == "udta" and not any(set(word) <= set("|&;<>") for word in words):
        assert not command.main(words[1:], prog_name="udta", standalone_mode=False), line
    elif words[0] not in DONE:
        done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_a_page(page, place):
    place(page)
    follow(page)


def test_the_make_targets_of_the_pages_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = "\n".join(text for page in (ROOT / "README.md", *PAGES) for _, text in blocks(page))
    named = set(re.findall(r"^make ([\w-]+)", shown, re.MULTILINE))
    assert {"repro", "test", "real"} <= named <= targets


def test_the_readme_is_short_and_has_what_it_is_for():
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 150
    assert "make repro" in text
    assert "make test" in text
    assert re.search(r"!\[[^\]]+\]\(docs/pictures/[\w.-]+\)", text)
