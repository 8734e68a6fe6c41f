"""Every example of the README and of `docs/` does what it says: shell and Python blocks run, in their order, as a reader would.

A block that begins with the comment `# NAME.yaml` or `# NAME.py` is the content of that file. Blocks without a language are
no examples.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builtin_layouts import LAYOUTS
from toy import photographs

import udta

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text() or "```sh" in path.read_text()
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.(?:yaml|py))\b")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the pages take for granted: photographs, weight files, archives of datasets, a store."""
    world = tmp_path_factory.mktemp("world")
    photographs(world / "photos", per_class=12)
    photographs(world / "new_photos", per_class=1, seed=1)
    for name, file in (("resnet50", "resnet50.pth"), ("mobilenet_v2", "mobilenet.pth")):
        torch.save(udta.build_backbone(name).module.state_dict(), world / file)
    for name, folder in (("aircraft", "fgvc-aircraft-2013b"), ("flowers102", "flowers")):
        LAYOUTS[name](world / "data" / folder)
    rows = [f"photos/{path.parent.name}/{path.name}" for path in sorted((world / "photos").rglob("*.png"))]
    lines = (f"{path.removeprefix('photos/')},{'even' if number % 2 else 'odd'}" for number, path in enumerate(rows))
    (world / "colours.csv").write_text("\n".join(("path,label", *lines)) + "\n")
    return world


@pytest.fixture(scope="module")
def stores(world):
    """`photos.zarr` and `photos.h5` with the taps that the README's have, of a smaller network."""
    options = {"backbone": "resnet18", "views": 2}
    udta.extract(world / "photos", taps="layer3=grid(14),layer4,avgpool=avg", out=world / "photos.zarr", **options)
    udta.extract(world / "photos", taps="layer4=avg", out=world / "photos.h5", format="hdf5", **options)


def blocks(page):
    return [(language, text) for language, text in BLOCK.findall(page.read_text())]


def follow(page, world, monkeypatch):
    """Do what a page shows, in the folder `world`."""
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(str(world))
    names = {}
    examples = [(language, text.replace("/data", str(world / "data"))) for language, text in blocks(page)]
    files = {file[1]: text for _, text in examples if (file := FILE.match(text))}
    for name, text in files.items():
        Path(name).write_text(text)
    for language, text in examples:
        if text in files.values():
            continue
        if language in ("sh", "console"):
            shell("\n".join(line.removeprefix("$ ") for line in text.splitlines()))
        elif language == "python":
            exec(compile(text, f"{page.name}, python block", "exec"), names)


def shell(script):
    if script.startswith("make ") or "bin/activate" in script.partition("\n")[0]:
        script = "\n".join(line for line in script.splitlines() if not line.startswith((". .venv", "make ")))
    path = f"{Path(sys.executable).parent}:$PATH"
    command = ["bash", "-euc", f'PATH="{path}"\n{script}']
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_the_readme(tmp_path, world, monkeypatch):
    for name in ("photos", "new_photos", "resnet50.pth"):
        (tmp_path / name).symlink_to(world / name)
    follow(ROOT / "README.md", tmp_path, monkeypatch)
    assert (tmp_path / "predictions.csv").exists()
    assert (tmp_path / "features").is_dir()
    assert (tmp_path / "few" / "few_shot.csv").exists()


def test_the_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", "\n".join(text for _, text in blocks(ROOT / "README.md")), re.MULTILINE))
    assert {"repro", "test", "real"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page, world, stores, monkeypatch):
    follow(page, world, monkeypatch)
