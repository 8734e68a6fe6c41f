"""Adding is local: what docs/contributing.md shows is added to a copy of the package, a file and a line each, and works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from house import ROOT
from toy import photographs

PAGE = (ROOT.parent / "docs" / "contributing.md").read_text()
FILES = dict(re.findall(r"^```python\n# ([\w/]+\.py)\n(.*?)^```$", PAGE, re.M | re.S))
LINES = re.findall(r"^```diff\n# ([\w/]+\.py)\n (.*?)\n\+(.*?)\n```$", PAGE, re.M)
KINDS = {"backbones/reducers", "backbones/sources", "images/readers", "store", "adapters", "exporting/formats", "cli"}

USE = """
import json, sys
from pathlib import Path

import numpy as np
import udta
from udta.cli.main import command

features = {"backbone": "toy:net", "taps": "stage1=none,stage2=peak"}
udta.extract("prefixed:photos", **features, format="licensed", out="features")
store = udta.open_store("features")
whole = udta.extract("prefixed:photos", backbone="toy:net", taps="stage2=none", dtype="float32", out="whole")
maps = udta.open_store("whole").read(range(len(store)))["stage2"]
run = udta.train(store, adapter="max_linear", out="run")
udta.export(store, to="means", out="means")
plain = udta.build_backbone("plain:7")
json.dump({
    "classes": store.classes, "format": store.format, "licence": Path("features/LICENSE").read_text(),
    "peaks": bool(np.allclose(store.read(range(len(store)))["stage2"], maps.max(axis=(3, 4)), rtol=1e-3, atol=1e-4)),
    "adapter": run.adapter, "top1": run.metrics["top1"],
    "means": json.loads(Path("means/means.json").read_text()).keys() == store.taps.keys(),
    "outputs": plain.module.fc.out_features, "verbs": list(command.commands),
}, open("found.json", "w"))
command(["count", "features", "--json"])
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package with a toy one of each kind."""
    copy = tmp_path_factory.mktemp("package") / "udta"
    shutil.copytree(ROOT / "udta", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        assert not (copy / name).exists()
        (copy / name).write_text(text)
    for name, before, line in LINES:
        registry = (copy / name).read_text()
        assert registry.count(f"{before}\n") == 1, f"{name} has no line {before!r}"
        (copy / name).write_text(registry.replace(f"{before}\n", f"{before}\n{line}\n"))
    return copy


def test_the_page_shows_one_of_each_kind():
    assert {str(Path(name).parent) for name in FILES} == KINDS
    assert {str(Path(name).parent) for name, _, _ in LINES} == KINDS
    assert len(LINES) == len(KINDS), "a line each"


@pytest.mark.slow
def test_a_toy_of_each_kind_works_from_a_file_and_a_line(package, tmp_path):
    photographs(tmp_path / "classes")
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "classes").rglob("*.png"):
        path.rename(tmp_path / "photos" / f"{path.parent.name}-{path.name}")
    (tmp_path / "use.py").write_text(USE)
    path = os.pathsep.join([str(package.parent), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "use.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 24}
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.pop("top1") > 0.5
    assert "count" in found.pop("verbs")
    assert found == {
        "classes": ["bird", "cat", "dog"],
        "format": "licensed",
        "licence": "CC BY 4.0\n",
        "peaks": True,
        "adapter": "max_linear",
        "means": True,
        "outputs": 7,
    }
